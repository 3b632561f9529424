"""Times, some of them relative to the moment of the cycle."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from math import floor
from typing import NamedTuple

_DAY = 86400


class TimeError(ValueError):
    """The text is not a time."""


class Date(NamedTuple):
    """A day; without a year, the current year."""

    year: int | None
    month: int
    day: int

    def check(self) -> None:
        """Raise TimeError for a day that does not exist."""
        try:
            date(2000 + (self.year or 0) % 400, self.month, self.day)
        except (ValueError, OverflowError) as error:
            raise TimeError(f"there is no such day: {error}") from None


class Shift(NamedTuple):
    """An offset from the rest of the expression."""

    months: int = 0
    days: int = 0
    seconds: float = 0

    def and_also(self, other: "Shift") -> "Shift":
        """Return the sum of two shifts."""
        return Shift(
            self.months + other.months, self.days + other.days, self.seconds + other.seconds
        )


@dataclass(frozen=True, slots=True)
class TimeExpression:
    """A parsed time, relative to a moment that is given later, in UTC."""

    text: str
    epoch: float | None = None
    day: Date | None = None
    clock: float | None = None
    """Seconds since midnight."""
    zone: int | None = None
    """Seconds east of UTC."""
    weekday: tuple[int, int] | None = None
    """Weekday (0 = Monday) and its ordinal from now: -1 = last, 0 = this, 1 = next."""
    shift: Shift | None = None

    def at(self, now: float) -> float:
        """Return seconds since 1970. Raises TimeError for February 29 in a common year."""
        if self.epoch is not None:
            return self.epoch
        started = floor(now)
        day = self._day(datetime.fromtimestamp(started, UTC))
        if self.clock is not None:
            clock = self.clock
        elif self.shift is not None and self.day is None and self.weekday is None:
            clock = float(started % _DAY)
        else:
            clock = 0.0
        return day * _DAY + clock - (self.zone or 0) + (self.shift or Shift()).seconds

    def _day(self, today: datetime) -> int:
        """Return days since 1970-01-01, after all shifts of whole days."""
        named = self.day or self._from_today(today)
        year = today.year if named.year is None else named.year
        Date(year, named.month, named.day).check()
        shift = self.shift or Shift()
        years, month = divmod(named.month - 1 + shift.months, 12)
        return days_since_1970(year + years, month + 1, 1) + named.day - 1 + shift.days

    def _from_today(self, today: datetime) -> Date:
        """Return today, or the day of the named weekday."""
        day = today + timedelta(_days_to(self.weekday, today.weekday()) if self.weekday else 0)
        return Date(day.year, day.month, day.day)


def _days_to(wanted: tuple[int, int], today: int) -> int:
    weekday, ordinal = wanted
    weeks = ordinal - (1 if ordinal > 0 and weekday != today else 0)
    return (weekday - today) % 7 + 7 * weeks


def days_since_1970(year: int, month: int, day: int) -> int:
    """Return the days of a date of the Gregorian calendar, for any year."""
    shifted = year - (month <= 2)
    era, of_era = divmod(shifted, 400)
    of_year = (153 * ((month - 3) % 12) + 2) // 5 + day - 1
    return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468
