"""The lines of a policy, ready for one image: what concerns datasets alone is decided already."""

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


@dataclass(frozen=True, slots=True)
class Run:
    """Lines in a row about datasets alone: the first that applies to each, 0 if none."""

    first: Codes


@dataclass(frozen=True, slots=True)
class Single:
    """One line that has to be asked again and again."""

    number: int
    by_block: bool
    holds: Holds
    moving: tuple[Variable, ...]
    """Its variables whose values change."""


@dataclass(frozen=True, slots=True)
class CompiledPolicy:
    """All lines, ready to be walked down."""

    steps: tuple[Run | Single, ...]
    verbs: Words
    """The verb of each line; the default decision first."""
    shared: bool
    """Whether what happens to one replica can change what lines say of another of its dataset."""


def prepared(policy: Policy, image: Image, now: float) -> CompiledPolicy:
    """Make a policy's lines ready."""
    steps: list[Run | Single] = []
    for alone, lines in groupby(sorted(policy.lines, key=_turn), key=_of_datasets_alone):
        if alone:
            steps.append(Run(_first(list(lines), image, now)))
        else:
            steps.extend(_singles(lines, now))
    verbs = [VERBS.index(line.verb) for line in (policy.default, *policy.lines)]
    shared = any(variable.shared for line in policy.lines for variable in _variables(line))
    return CompiledPolicy(tuple(steps), np.array(verbs, np.int8), shared)


def _turn(line: Line) -> bool:
    """Sort what is Dynamo's own to the front; all others stay in their order."""
    return not is_own(line)


def _variables(line: Line) -> tuple[Variable, ...]:
    return line.condition.variables if line.condition else ()


def _of_datasets_alone(line: Line) -> bool:
    return all(one.level is Level.DATASET and one.fixed is not None for one in _variables(line))


def _singles(lines: Iterator[Line], now: float) -> Iterator[Single]:
    for line in lines:
        if line.condition is not None:
            moving = tuple(one for one in line.condition.variables if one.fixed is None)
            yield Single(line.number, line.by_block, compiled(line.condition, now), moving)


def _first(lines: Sequence[Line], image: Image, now: float) -> Codes:
    """Find the first line that applies to each dataset; exact names are looked up, not compared."""
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
    """Return the datasets that a single condition on a name means, without asking all."""
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
    """Tell which of some lines have a verb; -1 stands for no line."""
    return np.asarray((lines >= 0) & (stack.verbs[lines] == verb))
