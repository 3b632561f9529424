"""Points in time as people write them: `90 days ago`, `January 1`, `2026-11-22 10:00`."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from math import floor
from typing import NamedTuple

_DAY = 86400
_SPRING = ("january", "february", "march", "april", "may", "june")
_MONTHS = (*_SPRING, "july", "august", "september", "october", "november", "december")
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_ORDINALS = {
    "last": -1,
    "this": 0,
    "next": 1,
    "first": 1,
    "third": 3,
    "fourth": 4,
    "fifth": 5,
    "sixth": 6,
}
_ORDINALS |= {"seventh": 7, "eighth": 8, "ninth": 9, "tenth": 10, "eleventh": 11, "twelfth": 12}
_MONTHS_PER_UNIT = {"year": 12, "month": 1}
_DAYS_PER_UNIT = {"fortnight": 14, "week": 7, "day": 1}
_SECONDS_PER_UNIT = {"hour": 3600, "minute": 60, "min": 60, "second": 1, "sec": 1}
_SHIFTS = {"now": 0, "today": 0, "yesterday": -1, "tomorrow": 1}

_MONTH = "(?P<month>" + "|".join(f"{name[:3]}(?:{name[3:]})?" for name in _MONTHS) + r"|sept)\b\.?"
_WEEKDAY = r"(?P<weekday>mon|tue|tues|wed|wednes|thu|thur|thurs|fri|sat|satur|sun)(?:day)?\b\.?,?"
_ORDINAL = "|".join(_ORDINALS)
_UNIT = "|".join([*_MONTHS_PER_UNIT, *_DAYS_PER_UNIT, *_SECONDS_PER_UNIT])
_OFFSET = r"(?P<zone>z\b|utc\b|gmt\b|[+-]\d\d:?\d\d\b|[+-]\d\d?\b)"


class TimeError(ValueError):
    """A text that is no point in time."""


class Date(NamedTuple):
    """A day; no year means the current one."""

    year: int | None
    month: int
    day: int

    def check(self) -> None:
        """Raise TimeError for a day that no calendar has."""
        try:
            date(
                self.year if self.year is not None and 1 <= self.year <= 9999 else 2000,
                self.month,
                self.day,
            )
        except ValueError as wrong:
            raise TimeError(f"there is no such day: {wrong}") from None


@dataclass(frozen=True, slots=True)
class TimeExpression:
    """What was written, to be read relative to some moment, in UTC."""

    text: str
    epoch: float | None = None
    day: Date | None = None
    clock: float | None = None
    """Seconds since midnight."""
    zone: int | None = None
    """Seconds east of UTC."""
    weekday: tuple[int, int] | None = None
    """Which weekday (0 = Monday) and the how-manieth from now; -1 = the last, 0 = this."""
    months: int = 0
    days: int = 0
    seconds: float = 0
    relative: bool = False

    def at(self, now: float) -> float:
        """Return seconds since 1970. Raises TimeError for February 29 in a year without one."""
        if self.epoch is not None:
            return self.epoch
        started = floor(now)
        today = datetime.fromtimestamp(started, UTC)
        day = self._day(today)
        if self.clock is not None:
            clock = self.clock
        elif self.relative and self.day is None and self.weekday is None:
            clock = float(started % _DAY)
        else:
            clock = 0.0
        return day * _DAY + clock - (self.zone or 0) + self.seconds

    def _day(self, today: datetime) -> int:
        """Return the day, counted from 1970-01-01, after all shifts of whole days."""
        named = self.day or Date(today.year, today.month, today.day)
        year = today.year if named.year is None else named.year
        Date(year, named.month, named.day).check()
        day = named.day
        if self.weekday is not None and self.day is None:
            day += _days_to(self.weekday, today.weekday())
        years, month = divmod(named.month - 1 + self.months, 12)
        return days_since_1970(year + years, month + 1, 1) + day - 1 + self.days


def _days_to(wanted: tuple[int, int], today: int) -> int:
    weekday, ordinal = wanted
    weeks = ordinal - (1 if ordinal > 0 and weekday != today else 0)
    return (weekday - today) % 7 + 7 * weeks


def days_since_1970(year: int, month: int, day: int) -> int:
    """Count days in the Gregorian calendar, for any year."""
    shifted = year - (month <= 2)
    era, of_era = divmod(shifted, 400)
    of_year = (153 * ((month - 3) % 12) + 2) // 5 + day - 1
    return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468


def read_time(text: str) -> TimeExpression:
    """Read a point in time. Raises TimeError."""
    words = " ".join(text.split()).lower()
    if re.search(r"\d{16}", words):  # no count and no moment needs as many: what follows is bounded
        raise TimeError("a number of more than 15 digits is no part of a time")
    if (epoch := re.fullmatch(r"@([+-]?\d+(?:\.\d+)?)", words)) is not None:
        return TimeExpression(text, epoch=float(epoch[1]))
    if re.fullmatch(r"[+-]?\d+(?:\.\d+)?", words) and not re.fullmatch(r"\d{8}", words):
        raise TimeError("a bare number is no time; write YYYYMMDD, @seconds, or such as 3 days ago")
    found = _Items(TimeExpression(text))
    rest = words
    while rest:
        rest = found.take(rest).lstrip()
    if not found.seen:
        raise TimeError("a time is missing")
    return found.expression


@dataclass(slots=True)
class _Items:
    """What of a text has been understood so far."""

    expression: TimeExpression
    seen: set[str] = field(default_factory=set)

    def take(self, rest: str) -> str:
        """Understand one item at the beginning and return what follows it."""
        for pattern, understand in _ITEMS:
            if (item := pattern.match(rest)) is not None:
                understand(self, item)
                return rest[item.end() :]
        raise TimeError(
            f"{rest!r} is no time; write such as 90 days ago, January 1 or 2026-11-22 10:00"
        )

    def once(self, kind: str) -> None:
        """Raise TimeError where the text says the same thing twice."""
        if kind in self.seen:
            raise TimeError(f"the {kind} is given twice")
        self.seen.add(kind)

    def date(self, year: str | None, month: int, day: int) -> None:
        """Take a day of the calendar."""
        self.once("date")
        full = None if year is None else _full_year(year)
        named = Date(full, month, day)
        named.check()
        self.expression = replace(self.expression, day=named)


def _full_year(digits: str) -> int:
    year = int(digits)
    if len(digits) != 2:
        return year
    return year + (2000 if year < 69 else 1900)


def _iso_date(items: _Items, item: re.Match[str]) -> None:
    items.date(item["year"], int(item["month"]), int(item["day"]))


def _slash_date(items: _Items, item: re.Match[str]) -> None:
    first, second, third = item.groups()
    if len(first) >= 4 and third is not None:
        items.date(first, int(second), int(third))
    else:
        items.date(third, int(first), int(second))


def _named_date(items: _Items, item: re.Match[str]) -> None:
    month = [name[:3] for name in _MONTHS].index(item["month"][:3]) + 1
    items.date(item["year"], month, int(item["day"]))


def _late_year(items: _Items, item: re.Match[str]) -> None:
    day = items.expression.day
    if day is None or day.year is not None or items.expression.relative:
        raise TimeError(f"{item[0]!r} alone is no time")
    named = day._replace(year=int(item[0]))
    named.check()
    items.expression = replace(items.expression, day=named)


def _clock(items: _Items, item: re.Match[str]) -> None:
    items.once("time of day")
    minute, second = int(item["minute"] or 0), float((item["second"] or "0").replace(",", "."))
    if minute > 59 or second >= 60:
        raise TimeError(f"{item[0].strip()!r} is no time of day")
    clock = _hour(int(item["hour"]), item["half"]) * 3600 + minute * 60 + second
    items.expression = replace(items.expression, clock=clock)
    if item["zone"] is not None:
        _zone(items, item)


def _hour(hour: int, half: str | None) -> int:
    if half is None:
        if hour > 23:
            raise TimeError(f"there is no hour {hour}")
        return hour
    if not 1 <= hour <= 12:
        raise TimeError(f"there is no hour {hour} {half}")
    return hour % 12 + (12 if half.startswith("p") else 0)


def _zone(items: _Items, item: re.Match[str]) -> None:
    items.once("time zone")
    text = item["zone"].replace(":", "")
    seconds = 0
    if text[0] in "+-":
        hours, minutes = (text[1:-2], text[-2:]) if len(text) == 5 else (text[1:], "0")
        seconds = (int(hours) * 3600 + int(minutes) * 60) * (-1 if text[0] == "-" else 1)
    items.expression = replace(items.expression, zone=seconds)


def _weekday(items: _Items, item: re.Match[str]) -> None:
    items.once("weekday")
    which = [name[:3] for name in _WEEKDAYS].index(item["weekday"][:3])
    ordinal = _count(item["ordinal"] or "this")
    items.expression = replace(items.expression, weekday=(which, ordinal))


def _count(said: str) -> int:
    return _ORDINALS[said] if said in _ORDINALS else int(said.replace(" ", ""))


def _shift(items: _Items, item: re.Match[str]) -> None:
    items.seen.add("shift")
    now = items.expression
    items.expression = replace(now, days=now.days + _SHIFTS[item[0]], relative=True)


def _relative(items: _Items, item: re.Match[str]) -> None:
    items.seen.add("shift")
    unit = item["unit"]
    count = _count(item["count"] or "1")
    if item["ago"] == "ago":
        count = -count
    now = items.expression
    items.expression = replace(
        now,
        months=now.months + count * _MONTHS_PER_UNIT.get(unit, 0),
        days=now.days + count * _DAYS_PER_UNIT.get(unit, 0),
        seconds=now.seconds + count * _SECONDS_PER_UNIT.get(unit, 0),
        relative=True,
    )


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text, re.ASCII)


_NOT_A_YEAR = r"(?!\s*(?::|am\b|pm\b|[a-z]))(?!\d)"
_HALF = r"(?P<half>[ap]\.?m\b\.?)"
_ITEMS: tuple[tuple[re.Pattern[str], Callable[[_Items, re.Match[str]], None]], ...] = (
    (_pattern(r"(?P<year>\d{2,})-(?P<month>\d{1,2})-(?P<day>\d{1,2})(?!\d)"), _iso_date),
    (_pattern(r"(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)(?!\d)"), _iso_date),
    (_pattern(r"(\d+)/(\d+)(?:/(\d+))?(?![\d/])"), _slash_date),
    (
        _pattern(
            rf"(?P<day>\d{{1,2}})[\s-]?{_MONTH}(?:[\s-]?(?P<year>\d{{4}}|\d\d){_NOT_A_YEAR})?"
        ),
        _named_date,
    ),
    (
        _pattern(
            rf"{_MONTH}[\s-]?(?P<day>\d{{1,2}})(?![\d:])"
            rf"(?:,?[\s-]?(?P<year>\d{{4}}){_NOT_A_YEAR})?,?"
        ),
        _named_date,
    ),
    (
        _pattern(
            rf"t?(?P<hour>\d{{1,2}}):(?P<minute>\d\d)(?::(?P<second>\d\d(?:[.,]\d+)?))?"
            rf"(?:\s*{_HALF})?(?:\s*{_OFFSET})?(?![\d:])"
        ),
        _clock,
    ),
    (_pattern(rf"(?P<hour>\d{{1,2}})(?P<minute>)(?P<second>)\s*{_HALF}(?:\s*{_OFFSET})?"), _clock),
    (_pattern(rf"(?:(?P<ordinal>{_ORDINAL}|\d+)\s)?{_WEEKDAY}"), _weekday),
    (
        _pattern(
            rf"(?:(?P<count>{_ORDINAL}|[+-]?\s?\d+)\s?)?"
            rf"(?P<unit>{_UNIT})s?\b(?:\s(?P<ago>ago|hence)\b)?"
        ),
        _relative,
    ),
    (_pattern(r"(?:now|today|yesterday|tomorrow)\b"), _shift),
    (_pattern(r"\d{4}(?!\d)"), _late_year),
    (_pattern(r"(?P<zone>z|utc|gmt)\b"), _zone),
)
