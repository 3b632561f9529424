"""Conditions as operations on columns of dataset replicas, block replicas or sites."""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from dynamo.inventory.snapshot import Flags
from dynamo.policy.comparisons import Values
from dynamo.policy.image import Image, Standing, View
from dynamo.policy.syntax import All, Condition, Node, Predicate
from dynamo.policy.variables import Level, Variable


class Holds(Protocol):
    """A condition at a known moment."""

    def on_replicas(self, view: View) -> Flags:
        """Return flags of dataset replicas; a block's variable holds if any block's does."""

    def on_rows(self, view: View) -> Flags:
        """Return flags of block replicas, each by itself."""

    def on_sites(self, standing: Standing) -> Flags:
        """Return flags of sites."""


class _Never:
    """A condition outside its window."""

    def on_replicas(self, view: View) -> Flags:
        return np.zeros(len(view.replicas), np.bool_)

    def on_rows(self, view: View) -> Flags:
        return np.zeros(len(view.rows), np.bool_)

    def on_sites(self, standing: Standing) -> Flags:
        return np.zeros(len(standing.places), np.bool_)


class _Leaf:
    """One predicate; values that no deletion changes are compared once per image."""

    def __init__(self, predicate: Predicate, now: float) -> None:
        self._variable = predicate.variable
        self._ask = predicate.comparison.at(now)
        self._fixed: tuple[Image, Flags] | None = None

    def on_replicas(self, view: View) -> Flags:
        level = self._variable.level
        if level is Level.BLOCK:
            return view.any(self._rows(view))
        if self._variable.fixed is None:
            return self._ask(values(self._variable, view))
        return np.asarray(self._truth(view.image)[_natural(level, view)])

    def on_rows(self, view: View) -> Flags:
        if self._variable.level is Level.BLOCK:
            return self._rows(view)
        return np.asarray(self.on_replicas(view)[view.place])

    def on_sites(self, standing: Standing) -> Flags:
        read = self._variable.standing
        assert read is not None  # noqa: S101 - the checker admits no other variable
        return self._ask(read(standing))

    def _rows(self, view: View) -> Flags:
        if self._variable.fixed is None:
            return self._ask(values(self._variable, view))
        return np.asarray(self._truth(view.image)[view.rows])

    def _truth(self, image: Image) -> Flags:
        if self._fixed is None or self._fixed[0] is not image:
            read = self._variable.fixed
            assert read is not None  # noqa: S101 - only variables that have it come here
            self._fixed = (image, self._ask(read(image)))
        return self._fixed[1]


def values(variable: Variable, view: View) -> Values:
    """Return the values of a variable that deletions change, cached until rows are taken away."""
    read = variable.moving
    assert read is not None  # noqa: S101 - only variables that have it come here
    return view.column(variable.name, read)


def _natural(level: Level, view: View) -> np.ndarray[tuple[int], np.dtype[np.integer]]:
    if level is Level.DATASET:
        return view.dataset
    return view.site if level is Level.SITE else view.replicas


class _Joined:
    """Conditions joined by `and` or `or`; evaluation stops once the result is certain."""

    def __init__(self, parts: Sequence[Holds], *, every: bool) -> None:
        self._parts = parts
        self._every = every

    def on_replicas(self, view: View) -> Flags:
        return self._join(lambda part: part.on_replicas(view))

    def on_rows(self, view: View) -> Flags:
        return self._join(lambda part: part.on_rows(view))

    def on_sites(self, standing: Standing) -> Flags:
        return self._join(lambda part: part.on_sites(standing))

    def _join(self, ask: Callable[[Holds], Flags]) -> Flags:
        truth = ask(self._parts[0])
        for part in self._parts[1:]:
            if self._every and not truth.any():
                break
            truth = truth & ask(part) if self._every else truth | ask(part)
        return truth


def compiled(condition: Condition, now: float) -> Holds:
    """Return a condition ready for a moment (seconds since 1970). Raises TimeError."""
    if not all(window.open_at(now) for window in condition.windows):
        return _Never()
    return _compiled(condition.root, now)


def _compiled(node: Node, now: float) -> Holds:
    if isinstance(node, Predicate):
        return _Leaf(node, now)
    return _Joined([_compiled(part, now) for part in node.parts], every=isinstance(node, All))


def fixed_truth(node: Node, image: Image, now: float) -> Flags:
    """Return flags per dataset of a condition on datasets alone."""
    if isinstance(node, Predicate):
        read = node.variable.fixed
        assert read is not None  # noqa: S101 - only variables that have it come here
        return node.comparison.at(now)(read(image))
    parts = [fixed_truth(part, image, now) for part in node.parts]
    join = np.logical_and if isinstance(node, All) else np.logical_or
    return np.asarray(join.reduce(parts), np.bool_)


def any_on_sites(conditions: Sequence[Holds], standing: Standing) -> Flags:
    """Return flags of the sites where any of the conditions holds."""
    truth = np.zeros(len(standing.places), np.bool_)
    for condition in conditions:
        truth |= condition.on_sites(standing)
    return truth
