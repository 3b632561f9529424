"""The lines of a policy, ready for one image: conditions on datasets are evaluated already."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from dynamo.detox.builtin_rules import is_own
from dynamo.inventory.snapshot import Codes, Flags, Words
from dynamo.policy.comparisons import Fits, Texts
from dynamo.policy.conditions import Holds, compiled, fixed_truth
from dynamo.policy.image import Image, Places
from dynamo.policy.syntax import Condition, Line, Policy, Predicate, Verb
from dynamo.policy.variables import Level, Variable

VERBS: tuple[Verb, ...] = tuple(Verb)
IGNORE, PROTECT, DELETE, DISMISS = range(len(VERBS))
"""Verbs as numbers, for columns."""
NO_VERB = -1
"""Of a default decision about blocks: no condition selects any."""


@dataclass(frozen=True, slots=True)
class Run:
    """Consecutive lines about datasets alone: the first matching line of each dataset, or 0."""

    first: Codes


@dataclass(frozen=True, slots=True)
class Single:
    """A line to evaluate in every round."""

    number: int
    by_block: bool
    holds: Holds
    moving: tuple[Variable, ...]
    """Variables of the line whose values change."""


@dataclass(frozen=True, slots=True)
class CompiledPolicy:
    """All lines, ready to be evaluated."""

    steps: tuple[Run | Single, ...]
    verbs: Words
    """The verb of each line; the default decision first."""
    shared: bool
    """Whether a change of one replica can change the lines of other replicas of its dataset."""


def prepared(policy: Policy, image: Image, now: float) -> CompiledPolicy:
    """Return a policy's lines, ready for an image and a moment."""
    steps: list[Run | Single] = []
    for alone, lines in groupby(sorted(policy.lines, key=_turn), key=_of_datasets_alone):
        if alone:
            steps.append(Run(_first(list(lines), image, now)))
        else:
            steps.extend(_singles(lines, now))
    default = NO_VERB if policy.default.by_block else VERBS.index(policy.default.verb)
    verbs = [default, *(VERBS.index(line.verb) for line in policy.lines)]
    shared = any(variable.shared for line in policy.lines for variable in _variables(line))
    return CompiledPolicy(tuple(steps), np.array(verbs, np.int8), shared)


def _turn(line: Line) -> bool:
    """Return the sort key that puts the built-in rule first and keeps the order of the rest."""
    return not is_own(line)


def _variables(line: Line) -> tuple[Variable, ...]:
    return line.condition.variables if line.condition else ()


def _of_datasets_alone(line: Line) -> bool:
    return all(
        variable.level is Level.DATASET and variable.fixed is not None
        for variable in _variables(line)
    )


def _singles(lines: Iterator[Line], now: float) -> Iterator[Single]:
    for line in lines:
        if line.condition is not None:
            moving = tuple(each for each in line.condition.variables if each.fixed is None)
            yield Single(line.number, line.by_block, compiled(line.condition, now), moving)


def _first(lines: Sequence[Line], image: Image, now: float) -> Codes:
    """Return the first matching line of each dataset; exact names are looked up, not compared."""
    first = np.zeros(len(image.snapshot.datasets.ids), np.int32)
    for line in lines:
        if line.condition is None or not all(
            window.open_at(now) for window in line.condition.windows
        ):
            continue
        fitting = _named(line.condition, image)
        if fitting is None:
            fitting = np.flatnonzero(fixed_truth(line.condition.root, image, now))
        first[fitting[first[fitting] == 0]] = line.number
    return first


def _named(condition: Condition, image: Image) -> Places | None:
    """Return the datasets of a single condition on a name; None for other conditions."""
    root = condition.root
    if (
        not isinstance(root, Predicate)
        or not isinstance(root.comparison, Fits)
        or root.comparison.negated
    ):
        return None
    texts = root.variable.fixed(image) if root.variable.fixed else None
    if not isinstance(texts, Texts) or texts.codes is not None:
        return None
    places = [pattern.places(texts.labels) for pattern in root.comparison.patterns]
    return np.concatenate([np.zeros(0, np.intp), *places])


def verb_at(stack: CompiledPolicy, lines: Codes, verb: int) -> Flags:
    """Return flags of lines with this verb; -1 stands for no line."""
    return np.asarray((lines >= 0) & (stack.verbs[lines] == verb))
