"""Comparisons: questions about a variable's values, asked of a whole column at once."""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dynamo.inventory.labels import Labels
from dynamo.inventory.snapshot import Flags
from dynamo.policy.patterns import Pattern
from dynamo.policy.times import TimeExpression


@dataclass(frozen=True, slots=True, eq=False)
class Texts:
    """A column of texts: positions in a list of labels."""

    labels: Labels
    codes: NDArray[np.integer] | None = None
    """None = each label once, in order."""


Values = NDArray[np.generic] | Texts
Question = Callable[[Values], Flags]

COMPARE: Mapping[str, Callable[[NDArray[np.generic], float], Flags]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
    "older_than": operator.lt,
    "newer_than": operator.gt,
}
"""Comparison signs of numbers and times; all but `<=` and `>=` are strict or exact."""


class Comparison(Protocol):
    """A question about values; it is complete once the moment of the cycle is known."""

    def at(self, now: float) -> Question:
        """Return the question with all times resolved. Raises TimeError."""


@dataclass(frozen=True, slots=True)
class IsTrue:
    """Whether a boolean is true, or with `not`, false."""

    negated: bool = False

    def at(self, now: float) -> Question:  # noqa: ARG002 - needs no time
        """Return the question."""
        wanted = not self.negated
        return lambda values: np.asarray(values) == wanted


@dataclass(frozen=True, slots=True)
class Compares:
    """A number compared with one number."""

    sign: str
    number: float

    def at(self, now: float) -> Question:  # noqa: ARG002 - needs no time
        """Return the question."""
        compare, number = COMPARE[self.sign], self.number
        return lambda values: compare(np.asarray(values), number)


@dataclass(frozen=True, slots=True)
class ComparesTime:
    """A time compared with one time."""

    sign: str
    time: TimeExpression

    def at(self, now: float) -> Question:
        """Return the question with the time resolved."""
        return Compares(self.sign, self.time.at(now)).at(now)


@dataclass(frozen=True, slots=True)
class IsAmong:
    """Whether a number is, or with `negated` is not, in a list."""

    numbers: tuple[float, ...]
    negated: bool = False

    def at(self, now: float) -> Question:  # noqa: ARG002 - needs no time
        """Return the question."""
        wanted = np.array(self.numbers, np.float64)
        return lambda values: np.isin(np.asarray(values), wanted, invert=self.negated)


@dataclass(frozen=True, slots=True)
class IsAmongTimes:
    """Whether a time is, or with `negated` is not, in a list."""

    times: tuple[TimeExpression, ...]
    negated: bool = False

    def at(self, now: float) -> Question:
        """Return the question with the times resolved."""
        return IsAmong(tuple(time.at(now) for time in self.times), self.negated).at(now)


@dataclass(frozen=True, slots=True)
class Fits:
    """Whether a text matches any pattern, or with `negated` none."""

    patterns: tuple[Pattern, ...]
    negated: bool = False

    def at(self, now: float) -> Question:  # noqa: ARG002 - needs no time
        """Return the question; each distinct list of labels is searched once."""
        searched: list[tuple[Labels, Flags]] = []

        def ask(values: Values) -> Flags:
            assert isinstance(values, Texts)  # noqa: S101 - the checker admits only texts
            known = next((truth for labels, truth in searched if labels is values.labels), None)
            if known is None:
                known = fitting(self.patterns, values.labels) ^ self.negated
                searched.append((values.labels, known))
            return known if values.codes is None else known[values.codes]

        return ask


def fitting(patterns: Sequence[Pattern], labels: Labels) -> Flags:
    """Return flags of the labels that match any of the patterns."""
    truth = np.zeros(len(labels), np.bool_)
    for pattern in patterns:
        truth[pattern.places(labels)] = True
    return truth
