"""Breakers: an operation that keeps failing at a site rests there, and is tried again gently."""

import random
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Self


class Operation(StrEnum):
    """What is done at a site."""

    WRITE = "write"
    READ = "read"
    DELETE = "delete"


class Position(StrEnum):
    """How a breaker stands."""

    CLOSED = "closed"
    """Work goes on."""
    OPEN = "open"
    """Nothing is tried."""
    HALF_OPEN = "half-open"
    """A few files are tried; what becomes of them decides."""


TRIAL_FILES = 3
"""Files that are tried at once where a breaker is half-open, by one stream."""
_FORGOTTEN = 0.05


@dataclass(frozen=True, slots=True)
class Rules:
    """When a breaker opens, and for how long."""

    failures: float = 5
    """Recent failures from which it opens."""
    share: float = 0.8
    """Share of failures among all results from which it opens."""
    half_life: timedelta = timedelta(minutes=10)
    """After which a result weighs half."""
    first: timedelta = timedelta(minutes=1)
    longest: timedelta = timedelta(hours=1)

    def pause(self, trips: int, draw: random.Random) -> timedelta:
        """Return for how long it opens after so many times without a success in between."""
        whole = min(self.first * float(2 ** min(trips, 30)), self.longest)
        return whole * (0.75 + 0.25 * draw.random())


@dataclass(frozen=True, slots=True)
class Breaker:
    """How an operation went at a site."""

    counted: datetime
    failed: float = 0.0
    done: float = 0.0
    until: datetime | None = None
    trips: int = 0
    since: datetime | None = None
    """When it opened first without a success since."""

    def position(self, now: datetime) -> Position:
        """Tell how it stands."""
        if self.until is None:
            return Position.CLOSED
        return Position.OPEN if now < self.until else Position.HALF_OPEN

    @property
    def is_clear(self) -> bool:
        """Tell whether there is nothing that a success would change."""
        return self.until is None and self.failed < _FORGOTTEN

    def after(self, done: int, failed: int, now: datetime, rules: Rules) -> Self:
        """Weigh new results; `opened` says whether it is enough."""
        if done and self.until is not None:
            # it works again: what failed beside it is counted as at the beginning
            fresh = replace(self, counted=now, failed=float(failed), done=0.0)
            return replace(fresh, until=None, trips=0, since=None)
        weight = 0.5 ** (max(now - self.counted, timedelta()) / rules.half_life)
        return replace(
            self, counted=now, failed=self.failed * weight + failed, done=self.done * weight + done
        )

    def is_enough(self, now: datetime, rules: Rules) -> bool:
        """Tell whether it must open now: also after a single failure where it was half-open."""
        position = self.position(now)
        if position is not Position.CLOSED:
            return position is Position.HALF_OPEN
        return self.failed >= rules.failures and self.failed >= rules.share * (
            self.failed + self.done
        )

    def opened(self, now: datetime, rules: Rules, draw: random.Random) -> Self:
        """Return it open, for longer each time."""
        until, since = now + rules.pause(self.trips, draw), self.since or now
        return replace(self, until=until, trips=self.trips + 1, since=since)
