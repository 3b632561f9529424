"""The life of a transfer or a deletion: which state follows which, and when it is tried again."""

import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from dynamo.reasons import Again, Reason


class State(StrEnum):
    """Where an operation stands."""

    QUEUED = "queued"
    ACTIVE = "active"
    HELD = "held"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


MOVES: dict[State, frozenset[State]] = {
    State.QUEUED: frozenset({State.ACTIVE, State.HELD, State.FAILED, State.CANCELLED}),
    State.ACTIVE: frozenset({State.DONE, State.QUEUED, State.HELD, State.FAILED, State.CANCELLED}),
    State.HELD: frozenset({State.QUEUED, State.FAILED, State.CANCELLED}),
    State.FAILED: frozenset({State.QUEUED, State.CANCELLED}),
    State.DONE: frozenset(),
    State.CANCELLED: frozenset(),
}
"""The table of moves; nothing else changes a state."""

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
