"""Splits the text of a time into tokens, as GNU date does."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from dynamo.policy.times import TimeError

_MONTHS = (
    *("january", "february", "march", "april", "may", "june", "july", "august", "september"),
    *("october", "november", "december"),
)
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_ORDINALS = {"last": -1, "this": 0, "next": 1, "first": 1, "third": 3, "fourth": 4, "fifth": 5}
_ORDINALS |= {"sixth": 6, "seventh": 7, "eighth": 8, "ninth": 9, "tenth": 10}
_ORDINALS |= {"eleventh": 11, "twelfth": 12}
_UNITS = {
    "Y": {"year": 12, "month": 1},
    "W": {"fortnight": 14, "week": 7, "day": 1},
    "C": {"hour": 3600, "minute": 60, "min": 60},
    "S": {"second": 1, "sec": 1},
}
_ZONES: Mapping[float, str] = {
    0: "z utc ut gmt wet",
    1: "wat cet met mez",
    2: "eet cat sast",
    3: "eat msk",
    5.5: "ist",
    8: "sgt",
    9: "kst jst",
    10: "gst",
    12: "nzst",
    -3: "art brt",
    -3.5: "nst",
    -4: "ast clt",
    -5: "est",
    -6: "cst",
    -7: "mst",
    -8: "pst",
    -9: "akst",
    -10: "hst hast",
}
_SUMMER_ZONES: Mapping[float, str] = {
    1: "west bst",
    2: "cest mest mesz",
    3: "eest",
    4: "msd",
    13: "nzdt",
    -2: "brst",
    -2.5: "ndt",
    -3: "adt clst",
    -4: "edt",
    -5: "cdt",
    -6: "mdt",
    -7: "pdt",
    -8: "akdt",
    -9: "hadt",
}
"""Hours east of UTC. Names that are read differently by different versions of GNU date are left
out, as are its military zones."""


@dataclass(frozen=True, slots=True)
class Token:
    """A word, a number or a sign."""

    kind: str
    """One letter: `u`nsigned and `s`igned numbers, `n` and `e` the same with a fraction, `M`onth,
    `D`ay of the week, `O`rdinal, units of months `Y`, days `W`, minutes `C` and `S`econds, `H` a
    shift of days, `A`go, `P`m or am, `Z`one, `X` its summer time, `T`; marks stand for themselves.
    """
    value: float
    text: str
    start: int


def _known() -> Iterator[tuple[str, tuple[str, float]]]:
    for kind, names in (("M", _MONTHS), ("D", _WEEKDAYS)):
        for number, name in enumerate(names):
            yield from dict.fromkeys((name, name[:3], f"{name[:3]}."), (kind, number)).items()
    yield "sept", ("M", 8)
    yield from {"tues": ("D", 1), "wednes": ("D", 2), "thur": ("D", 3), "thurs": ("D", 3)}.items()
    yield from ((name, ("O", number)) for name, number in _ORDINALS.items())
    for kind, units in _UNITS.items():
        for name, size in units.items():
            yield from dict.fromkeys((name, f"{name}s"), (kind, size)).items()
    yield from {"now": ("H", 0), "today": ("H", 0), "yesterday": ("H", -1)}.items()
    yield from {"tomorrow": ("H", 1), "ago": ("A", -1), "hence": ("A", 1)}.items()
    yield from {"am": ("P", 0), "a.m.": ("P", 0), "pm": ("P", 12), "p.m.": ("P", 12)}.items()
    for kind, zones in (("Z", _ZONES), ("X", _SUMMER_ZONES)):
        for hours, zone_names in zones.items():
            yield from dict.fromkeys(zone_names.split(), (kind, hours * 3600)).items()
    yield "t", ("T", 0)


_WORDS: Mapping[str, tuple[str, float]] = dict(_known())
_TOKEN = re.compile(
    r"(?P<sign>[+-] ?)?(?P<digits>\d+)(?P<fraction>[.,]\d+)?"
    r"|(?P<word>[a-z][a-z.]*)|(?P<mark>[:/,])|(?P<dash>(?<=\d)-(?=[a-z]))| ",
    re.ASCII,
)
_MOST_DIGITS = 15


def tokens(text: str) -> Iterator[Token]:
    """Split a text in small letters with single blanks. Raises TimeError."""
    start = 0
    while start < len(text):
        match = _TOKEN.match(text, start)
        if match is None:
            raise no_time(text[start:])
        if match["digits"]:
            yield _number(match)
        elif match["word"]:
            if match[0] not in _WORDS:
                raise no_time(text[start:])
            kind, value = _WORDS[match[0]]
            yield Token(kind, value, match[0], start)
        elif match["mark"]:
            yield Token(match[0], 0, match[0], start)
        start = match.end()


def _number(match: re.Match[str]) -> Token:
    sign, digits, fraction = match["sign"], match["digits"], match["fraction"]
    if len(digits) > _MOST_DIGITS:
        raise TimeError(f"a number of more than {_MOST_DIGITS} digits is no part of a time")
    value = float(digits + (fraction or "").replace(",", "."))
    kind = ("e" if sign else "n") if fraction else ("s" if sign else "u")
    return Token(kind, -value if sign and sign[0] == "-" else value, digits, match.start())


def no_time(text: str) -> TimeError:
    """Return the error for a text that is not a time."""
    return TimeError(
        f"{text!r} is no time; write such as 90 days ago, January 1 or 2026-11-22 10:00"
    )
