"""Parses times as people write them: `90 days ago`, `January 1`, `2026-11-22 10:00`."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import copysign

from dynamo.policy.time_lexer import Token, no_time, tokens
from dynamo.policy.times import Date, Shift, TimeError, TimeExpression

_DAY_OF_MINUTES = 24 * 60
_FARTHEST = 2**30
"""Limit of years, months and days, well within the range of GNU date."""
_MOST_WEEKS = 100_000
_YEAR = 365 * 86400


def read_time(text: str) -> TimeExpression:
    """Parse a time as GNU date does; what GNU date refuses is refused. Raises TimeError."""
    words = " ".join(text.split()).lower()
    if not text.isascii():
        raise no_time(words)
    if (epoch := re.fullmatch(r"@([+-]?\d{1,15}(?:\.\d+)?)", words, re.ASCII)) is not None:
        return TimeExpression(text, epoch=float(epoch[1]))
    if re.fullmatch(r"[+-]?\d+(?:\.\d+)?", words) and not re.fullmatch(r"\d{8}", words):
        raise TimeError("a bare number is no time; write YYYYMMDD, @seconds, or such as 3 days ago")
    items = list(tokens(words))
    if not items:
        raise TimeError("a time is missing")
    kinds = "".join(token.kind for token in items)
    parsed, place = _Items(TimeExpression(text)), 0
    while place < len(items):
        end = parsed.take(items, kinds, place)
        if end == place:
            raise no_time(words[items[place].start :])
        place = end
    return parsed.expression


@dataclass(slots=True)
class _Items:
    """State of parsing a time."""

    expression: TimeExpression
    seen: set[str] = field(default_factory=set)

    def take(self, items: Sequence[Token], kinds: str, place: int) -> int:
        """Parse the item at a position and return where it ends."""
        for pattern, understand in _ITEMS:
            if (item := pattern.match(kinds, place)) is not None:
                understand(self, items[place : item.end()])
                return item.end()
        return place

    def once(self, kind: str) -> None:
        """Raise TimeError if the text gives this kind of item twice."""
        if kind in self.seen:
            raise TimeError(f"the {kind} is given twice")
        self.seen.add(kind)

    def date(self, year: str | None, month: float, day: float) -> None:
        """Record a day of the calendar."""
        self.once("date")
        named = Date(None if year is None else _full_year(year), int(month), int(day))
        named.check()
        self.expression = replace(self.expression, day=named)

    def year(self, year: str) -> None:
        """Record the year of a day that was named without a year."""
        assert self.expression.day is not None  # noqa: S101 - asked only after a day
        named = self.expression.day._replace(year=_full_year(year))
        named.check()
        self.expression = replace(self.expression, day=named)

    def clock(self, hour: float, minute: float = 0, second: float = 0) -> None:
        """Record a time of day."""
        self.once("time of day")
        if hour > 23:
            raise TimeError(f"there is no hour {hour:.0f}")
        if minute >= 60 or second >= 60:
            raise TimeError(f"{hour:.0f}:{minute:02.0f}:{second:02g} is no time of day")
        self.expression = replace(self.expression, clock=hour * 3600 + minute * 60 + second)

    def zone(self, seconds: float) -> None:
        """Record a time zone."""
        self.once("time zone")
        self.expression = replace(self.expression, zone=int(seconds))

    def shift(self, by: Shift) -> None:
        """Add a shift."""
        shift = (self.expression.shift or Shift()).and_also(by)
        _bounded(max(abs(shift.months), abs(shift.days), abs(shift.seconds) / _YEAR))
        self.expression = replace(self.expression, shift=shift)


def _bounded(amount: float, most: float = _FARTHEST) -> None:
    if amount >= most:
        raise TimeError("it is too far away")


def _full_year(digits: str) -> int:
    year = int(digits)
    _bounded(year)
    if len(digits) != 2:
        return year
    return year + (2000 if year < 69 else 1900)


def _iso_date(items: _Items, item: Sequence[Token]) -> None:
    year, month, day = item
    items.date(year.text, -month.value, -day.value)


def _iso_moment(items: _Items, item: Sequence[Token]) -> None:
    _iso_date(items, item[:3])
    _clock(items, item[4:])


def _slash_date(items: _Items, item: Sequence[Token]) -> None:
    first, second, *third = item[::2]
    if third and len(first.text) >= 4:
        items.date(first.text, second.value, third[0].value)
    else:
        items.date(third[0].text if third else None, first.value, second.value)


def _day_first(items: _Items, item: Sequence[Token]) -> None:
    day, month, *year = item
    if year and _is_plus(year[0]):
        raise no_time(f"+{year[0].text}")
    items.date(year[0].text if year else None, month.value + 1, day.value)


def _month_first(items: _Items, item: Sequence[Token]) -> None:
    month, day, *year = (token for token in item if token.kind != ",")
    if any(_is_plus(token) for token in item):
        raise no_time(f"+{day.text}")
    items.date(year[0].text if year else None, month.value + 1, abs(day.value))


def _is_plus(token: Token) -> bool:
    return token.kind == "s" and copysign(1, token.value) > 0


def _clock(items: _Items, item: Sequence[Token]) -> None:
    length = next((place for place, token in enumerate(item) if token.kind in "sP"), len(item))
    hour, *finer = (token.value for token in item[:length:2])
    rest = item[length:]
    if rest and rest[0].kind == "P":
        if not 1 <= hour <= 12:
            raise TimeError(f"there is no hour {hour:.0f} {rest[0].text}")
        hour = hour % 12 + rest[0].value
    items.clock(hour, *finer)
    if rest and rest[0].kind == "s":
        items.zone(_offset(rest))


def _offset(item: Sequence[Token]) -> float:
    """Return seconds east: `+2`, `+02`, `+0200` and `+02:00` are the same."""
    signed, *minutes = item[::2]
    digits = signed.text
    if minutes:
        amount = int(digits) * 60 + minutes[0].value
    elif len(digits) <= 2:
        amount = int(digits) * 60
    else:
        amount = int(digits[:-2]) * 60 + int(digits[-2:])
    if amount > _DAY_OF_MINUTES:
        raise TimeError(f"{digits} is no time zone")
    return copysign(amount * 60, signed.value)


def _zone(items: _Items, item: Sequence[Token]) -> None:
    named, *offset = item
    items.zone(named.value + (_offset(offset) if offset else 0))


def _zone_and_shift(items: _Items, item: Sequence[Token]) -> None:
    _zone(items, item[:1])
    _shift(items, item[1:])


def _weekday(items: _Items, item: Sequence[Token]) -> None:
    items.once("weekday")
    ordinal = item[0].value if item[0].kind in "Ou" else 0
    _bounded(ordinal, _MOST_WEEKS)
    (number,) = (token.value for token in item if token.kind == "D")
    items.expression = replace(items.expression, weekday=(int(number), int(ordinal)))


def _number(items: _Items, item: Sequence[Token]) -> None:
    """Record digits alone: the year of a date without one, a whole date, or a time of day."""
    digits, day = item[0].text, items.expression.day
    shifted, timed = items.expression.shift is not None, "time of day" in items.seen
    if day is not None and day.year is None and not shifted and (timed or len(digits) > 2):
        items.year(digits)
    elif len(digits) > 4:
        items.date(digits[:-4], int(digits[-4:-2]), int(digits[-2:]))
    elif len(digits) > 2:
        items.clock(int(digits[:-2]), int(digits[-2:]))
    else:
        items.clock(int(digits))


def _number_and_shift(items: _Items, item: Sequence[Token]) -> None:
    _number(items, item[:1])
    _shift(items, item[1:])


def _shift(items: _Items, item: Sequence[Token]) -> None:
    unit = next(token for token in item if token.kind in _SHIFTS)
    count = item[0].value if item[0].kind in "Ousne" else 1
    direction = item[-1].value if item[-1].kind == "A" else 1
    items.shift(_SHIFTS[unit.kind](count * unit.value * direction))


_SHIFTS: Mapping[str, Callable[[float], Shift]] = {
    "Y": lambda months: Shift(months=int(months)),
    "W": lambda days: Shift(days=int(days)),
    "H": lambda days: Shift(days=int(days)),
    "C": lambda seconds: Shift(seconds=seconds),
    "S": lambda seconds: Shift(seconds=seconds),
}
_TIME = r"(?:u:u(?::[un])?(?:s(?::u)?)?|us(?::u)?)"
_ITEMS: tuple[tuple[re.Pattern[str], Callable[[_Items, Sequence[Token]], None]], ...] = tuple(
    (re.compile(kinds), understand)
    for kinds, understand in (
        (f"ussT{_TIME}", _iso_moment),
        (r"uss(?!T)", _iso_date),
        (r"us[YWCS]", _number_and_shift),
        (r"u(?::u(?::[un])?)?P", _clock),
        (_TIME, _clock),
        (r"u/u(?:/u)?", _slash_date),
        (r"uM[us]?", _day_first),
        (r"Mss|Mu(?:,u)?", _month_first),
        (r"D,?|[Ou]D", _weekday),
        (r"[Ous]?[YWCS]A?|[ne]SA?|H", _shift),
        (r"Zs[YWCS]", _zone_and_shift),
        (r"Zs(?::u)?|[ZX]", _zone),
        (r"u", _number),
    )
)
"""The items of a time as kinds of tokens; a longer item comes before its prefix."""
