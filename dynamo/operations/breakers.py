"""Circuit breakers: an operation that keeps failing at a site pauses, then is tried gently."""

import random
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Self


class Operation(StrEnum):
    """Kind of storage access."""

    WRITE = "write"
    READ = "read"
    DELETE = "delete"


class Position(StrEnum):
    """Position of a breaker."""

    CLOSED = "closed"
    """Operations run."""
    OPEN = "open"
    """Operations pause."""
    HALF_OPEN = "half-open"
    """A few files are tried; their results decide."""


TRIAL_FILES = 3
"""Files that one stream tries while a breaker is half-open."""
_FORGOTTEN = 0.05


@dataclass(frozen=True, slots=True)
class Rules:
    """When a breaker opens, and for how long."""

    failures: float = 5
    """Weighted number of failures at which it opens."""
    share: float = 0.8
    """Fraction of failures among all results at which it opens."""
    half_life: timedelta = timedelta(minutes=10)
    """Time after which a result counts half."""
    first: timedelta = timedelta(minutes=1)
    longest: timedelta = timedelta(hours=1)

    def pause(self, trips: int, draw: random.Random) -> timedelta:
        """Return how long the breaker opens after `trips` openings without a success."""
        whole = min(self.first * float(2 ** min(trips, 30)), self.longest)
        return whole * (0.75 + 0.25 * draw.random())


@dataclass(frozen=True, slots=True)
class Breaker:
    """Recent results of an operation at a site."""

    counted: datetime
    failed: float = 0.0
    done: float = 0.0
    until: datetime | None = None
    trips: int = 0
    since: datetime | None = None
    """When it first opened since the last success."""

    def position(self, now: datetime) -> Position:
        """Return the position at a moment."""
        if self.until is None:
            return Position.CLOSED
        return Position.OPEN if now < self.until else Position.HALF_OPEN

    @property
    def is_clear(self) -> bool:
        """Return whether a success would change nothing."""
        return self.until is None and self.failed < _FORGOTTEN

    def after(self, done: int, failed: int, now: datetime, rules: Rules) -> Self:
        """Return the breaker with new results added; `is_enough` decides whether it opens."""
        if done and self.until is not None:
            # it works again: failures beside the success count from zero
            fresh = replace(self, counted=now, failed=float(failed), done=0.0)
            return replace(fresh, until=None, trips=0, since=None)
        weight = 0.5 ** (max(now - self.counted, timedelta()) / rules.half_life)
        return replace(
            self, counted=now, failed=self.failed * weight + failed, done=self.done * weight + done
        )

    def is_enough(self, now: datetime, rules: Rules) -> bool:
        """Return whether it must open now; in half-open position one failure suffices."""
        position = self.position(now)
        if position is not Position.CLOSED:
            return position is Position.HALF_OPEN
        return self.failed >= rules.failures and self.failed >= rules.share * (
            self.failed + self.done
        )

    def opened(self, now: datetime, rules: Rules, draw: random.Random) -> Self:
        """Return the breaker open, for longer each time."""
        until, since = now + rules.pause(self.trips, draw), self.since or now
        return replace(self, until=until, trips=self.trips + 1, since=since)
