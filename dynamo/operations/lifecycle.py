"""Life cycles of rows: which state follows which, and when a failed operation is retried."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Generic, TypeVar

from dynamo.inventory.states import ReplicaState, RequestState
from dynamo.reasons import Again, Reason

S = TypeVar("S", bound=StrEnum)


class State(StrEnum):
    """State of an operation."""

    QUEUED = "queued"
    ACTIVE = "active"
    HELD = "held"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Lifecycle(Generic[S]):
    """The states of one kind of row: initial states, and allowed moves.

    A move to the same state changes the time or the reason.
    """

    starts: frozenset[S]
    moves: Mapping[S, frozenset[S]]

    @property
    def states(self) -> tuple[S, ...]:
        """Return all states that a row may have."""
        return tuple(self.moves)

    def origins(self, to: S) -> frozenset[S]:
        """Return the states that may precede a state; empty if none may."""
        return frozenset(state for state, following in self.moves.items() if to in following)


TRANSFERS = Lifecycle(
    # held or failed from the start: the row records why a file cannot be copied
    starts=frozenset({State.QUEUED, State.HELD, State.FAILED}),
    moves={
        State.QUEUED: frozenset({State.QUEUED, State.ACTIVE, State.HELD, State.CANCELLED}),
        State.ACTIVE: frozenset(
            {State.DONE, State.QUEUED, State.HELD, State.FAILED, State.CANCELLED}
        ),
        State.HELD: frozenset({State.QUEUED, State.HELD, State.FAILED, State.CANCELLED}),
        State.DONE: frozenset(),
        State.FAILED: frozenset({State.QUEUED}),
        # a transfer that a deletion cancelled restarts when the file is rescued
        State.CANCELLED: frozenset({State.QUEUED}),
    },
)
_UNTIL_GONE = Lifecycle(
    starts=frozenset({State.QUEUED}),
    moves={
        State.QUEUED: frozenset({State.QUEUED, State.ACTIVE}),
        State.ACTIVE: frozenset({State.QUEUED, State.HELD}),
        State.HELD: frozenset({State.QUEUED}),
    },
)
DELETIONS = _UNTIL_GONE
"""A deletion's row is deleted with its file, so that it needs no final state."""
REMEDIES = _UNTIL_GONE
"""A remedy's row is deleted with its last step; each step queues the next."""
_AFTER_SUBMISSION = frozenset(
    {
        RequestState.RUNNING,
        RequestState.HELD,
        RequestState.DONE,
        RequestState.FAILED,
        RequestState.CANCELLED,
    }
)
REQUESTS = Lifecycle(
    # a request for data that are present, or lost, ends within its call
    starts=frozenset(
        {RequestState.QUEUED, RequestState.RUNNING, RequestState.DONE, RequestState.FAILED}
    ),
    moves={
        RequestState.QUEUED: _AFTER_SUBMISSION,
        RequestState.RUNNING: _AFTER_SUBMISSION,
        RequestState.HELD: _AFTER_SUBMISSION,
        RequestState.DONE: frozenset(),
        RequestState.FAILED: frozenset(),
        RequestState.CANCELLED: frozenset(),
    },
)
_RUN_ONCE = Lifecycle(
    starts=frozenset({RequestState.QUEUED}),
    moves={
        RequestState.QUEUED: frozenset({RequestState.RUNNING}),
        RequestState.RUNNING: frozenset({RequestState.DONE, RequestState.FAILED}),
        RequestState.DONE: frozenset(),
        RequestState.FAILED: frozenset(),
    },
)
CYCLES = _RUN_ONCE
"""A cycle that lost its worker has failed: the next cycle replaces it."""
SCANS = _RUN_ONCE
"""Scans move like cycles."""
REPLICAS = Lifecycle(
    starts=frozenset({ReplicaState.VALID}),
    moves={
        ReplicaState.VALID: frozenset({ReplicaState.CONDEMNED}),
        ReplicaState.CONDEMNED: frozenset({ReplicaState.VALID}),
    },
)
"""A condemned block replica can be rescued while none of its files is deleted."""

OPEN = frozenset({State.QUEUED, State.ACTIVE, State.HELD})
"""Open states: the operation is not finished."""


@dataclass(frozen=True, slots=True)
class Patience:
    """Retries of an operation: exponential back-off with jitter, then held."""

    first: timedelta = timedelta(seconds=20)
    longest: timedelta = timedelta(hours=1)
    attempts: int = 6
    daily: timedelta = timedelta(days=1)

    def pause(self, attempts: int, draw: random.Random) -> timedelta:
        """Return the pause after this many attempts.

        It is between half and the whole of `first` · 2^(n-1).
        """
        whole = (
            min(self.first * 2 ** max(attempts - 1, 0), self.longest)
            if attempts < 32
            else self.longest
        )
        return whole * (0.5 + 0.5 * draw.random())


@dataclass(frozen=True, slots=True)
class Verdict:
    """The next state of a failed operation."""

    state: State
    not_before: datetime | None


def after_failure(
    reason: Reason, attempts: int, now: datetime, patience: Patience, draw: random.Random
) -> Verdict:
    """Return the next state of a failed operation; `needs-decision` waits for a person."""
    if reason.again is Again.BY_HAND:
        return Verdict(State.HELD, None)
    if reason.again is Again.DAILY or attempts >= patience.attempts:
        return Verdict(State.HELD, now + patience.daily)
    return Verdict(State.QUEUED, now + patience.pause(attempts, draw))
