"""The life of what is remembered in rows: which state follows which, and when it is tried again."""

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
    """Where an operation stands."""

    QUEUED = "queued"
    ACTIVE = "active"
    HELD = "held"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Lifecycle(Generic[S]):
    """The states of one kind of row: in which it begins, and which follows which.

    A state that follows itself is entered anew, with another moment or another reason.
    """

    starts: frozenset[S]
    moves: Mapping[S, frozenset[S]]

    @property
    def states(self) -> tuple[S, ...]:
        """Return all states that a row may have."""
        return tuple(self.moves)

    def origins(self, to: S) -> frozenset[S]:
        """Return the states from which a row may come into another; none where it may not."""
        return frozenset(state for state, following in self.moves.items() if to in following)


TRANSFERS = Lifecycle(
    # one that is held or failed from the start tells why a file does not come
    starts=frozenset({State.QUEUED, State.HELD, State.FAILED}),
    moves={
        State.QUEUED: frozenset({State.QUEUED, State.ACTIVE, State.HELD, State.CANCELLED}),
        State.ACTIVE: frozenset(
            {State.DONE, State.QUEUED, State.HELD, State.FAILED, State.CANCELLED}
        ),
        State.HELD: frozenset({State.QUEUED, State.HELD, State.FAILED, State.CANCELLED}),
        State.DONE: frozenset(),
        State.FAILED: frozenset({State.QUEUED}),
        # what a deletion has called off comes again once the file is rescued
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
"""A deletion's row goes with its file, so that it has no state of an end."""
REMEDIES = _UNTIL_GONE
"""A remedy is forgotten with its last step; each step but the first is queued by the one before."""
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
    # what is known to be there, or to be lost, has ended with the call that tells it
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
"""A cycle that has lost its worker has failed: the next one sees the same, and more."""
SCANS = _RUN_ONCE
"""As cycles."""
REPLICAS = Lifecycle(
    starts=frozenset({ReplicaState.VALID}),
    moves={
        ReplicaState.VALID: frozenset({ReplicaState.CONDEMNED}),
        ReplicaState.CONDEMNED: frozenset({ReplicaState.VALID}),
    },
)
"""A condemned block replica is rescued as long as none of its files has been touched."""

OPEN = frozenset({State.QUEUED, State.ACTIVE, State.HELD})
"""Operations in these states still want to happen."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How an operation is tried again: exponential back-off with full jitter, then held."""

    first: timedelta = timedelta(seconds=20)
    longest: timedelta = timedelta(hours=1)
    attempts: int = 6
    daily: timedelta = timedelta(days=1)

    def pause(self, attempts: int, draw: random.Random) -> timedelta:
        """Return the pause after so many attempts.

        Between half and the whole of `first` · 2^(n-1).
        """
        whole = (
            min(self.first * 2 ** max(attempts - 1, 0), self.longest)
            if attempts < 32
            else self.longest
        )
        return whole * (0.5 + 0.5 * draw.random())


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of an operation that did not succeed."""

    state: State
    not_before: datetime | None


def after_failure(
    reason: Reason, attempts: int, now: datetime, patience: Patience, draw: random.Random
) -> Verdict:
    """Decide when a failed operation is tried again; `needs-decision` waits for a person."""
    if reason.again is Again.BY_HAND:
        return Verdict(State.HELD, None)
    if reason.again is Again.DAILY or attempts >= patience.attempts:
        return Verdict(State.HELD, now + patience.daily)
    return Verdict(State.QUEUED, now + patience.pause(attempts, draw))
