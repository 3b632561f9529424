"""Warnings about policies that are valid but surely mistaken: unreachable lines, watermarks."""

from collections import ChainMap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations

from dynamo.policy.comparisons import Compares, Fits
from dynamo.policy.diagnostics import Problem, Spot
from dynamo.policy.reader import Known, Reading, read_policy
from dynamo.policy.syntax import All, Condition, Line, Node, Policy, Predicate, Some
from dynamo.policy.variables import Level

_MOST_PREDICATES = 6


def check_policy(
    text: str, source: str = "policy", *, partition: str | None = None, known: Known | None = None
) -> Reading:
    """Read a policy and add warnings about mistakes that are valid."""
    reading = read_policy(text, source, partition=partition, known=known)
    if reading.parsed is None:
        return reading
    problems = sorted(
        [*reading.problems, *advice(reading.parsed)], key=lambda problem: problem.spot
    )
    return replace(reading, problems=tuple(problems))


def advice(policy: Policy) -> list[Problem]:
    """Return warnings about a valid policy."""
    rows = policy.text.splitlines()
    return [*_unreachable(policy, rows), *_watermarks(policy), *_idle_default(policy, rows)]


def _idle_default(policy: Policy, rows: Sequence[str]) -> Iterator[Problem]:
    """Find a default decision about blocks: it has no condition that could select any."""
    default = policy.default
    if default.by_block:
        message = f"selects nothing, having no condition: {default.verb.value} takes the whole rest"
        yield Problem(Spot(default.at, 1), message, rows[default.at - 1], warning=True)


Seen = Mapping[frozenset[str], Line]
"""Lines by their predicates: replicas that match all of these go no further."""


def _unreachable(policy: Policy, rows: Sequence[str]) -> Iterator[Problem]:
    """Find lines below a line with fewer predicates, which decides all their replicas."""
    steady: dict[frozenset[str], Line] = {}
    passing: dict[frozenset[str], Line] = {}
    seen = ChainMap(steady, passing)
    for line in policy.lines:
        if line.condition is None:
            continue
        before = _taker(line.condition.root, seen)
        if before is not None:
            message = f"never reached: line {before.at} takes all that fits it ({before.text})"
            yield Problem(Spot(line.at, 1), message, rows[line.at - 1], warning=True)
            continue
        if line.by_block:
            passing.clear()
        if _takes_all(line) and not line.condition.windows:
            kept = steady if _steady(line) else passing
            kept.update(dict.fromkeys(_branches(line.condition.root), line))


def _taker(node: Node, seen: Seen) -> Line | None:
    """Return a line above that decides all matches of this node; of `or` branches, the lowest."""
    if isinstance(node, Some):
        takers = [_taker(part, seen) for part in node.parts]
        known = [taker for taker in takers if taker is not None]
        return max(known, key=lambda line: line.at) if len(known) == len(takers) else None
    parts = node.parts if isinstance(node, All) else (node,)
    simple = frozenset(part.text for part in parts if isinstance(part, Predicate))
    takers = [seen.get(subset) for subset in _selections(simple)]
    takers += [_taker(part, seen) for part in parts if not isinstance(part, Predicate)]
    return next((taker for taker in takers if taker is not None), None)


def _selections(asked: frozenset[str]) -> Iterator[frozenset[str]]:
    """Yield all subsets of a few predicates."""
    yield frozenset()
    if len(asked) > _MOST_PREDICATES:
        yield asked
        return
    for size in range(1, len(asked) + 1):
        yield from map(frozenset, combinations(sorted(asked), size))


def _branches(node: Node) -> Iterator[frozenset[str]]:
    """Yield the branches of an `or` that are plain predicates joined by `and`."""
    if isinstance(node, Some):
        for part in node.parts:
            yield from _branches(part)
        return
    parts = node.parts if isinstance(node, All) else (node,)
    simple = [part for part in parts if isinstance(part, Predicate)]
    if len(simple) == len(parts):
        yield frozenset(part.text for part in simple if not _always(part))


def _steady(line: Line) -> bool:
    """Return whether the condition stays the same when other lines take blocks away."""
    variables = line.condition.variables if line.condition else ()
    return all(
        variable.level is Level.BLOCK or variable.fixed is not None for variable in variables
    )


def _always(predicate: Predicate) -> bool:
    """Return whether a predicate matches everything, as `site.name == *` does."""
    comparison = predicate.comparison
    if not isinstance(comparison, Fits) or comparison.negated:
        return False
    return any(not pattern.text.strip("*") for pattern in comparison.patterns)


def _takes_all(line: Line) -> bool:
    """Return whether all replicas that match end their walk at this line.

    Two predicates of blocks may match different blocks. A branch beside them may match only when
    those blocks are gone.
    """
    if line.condition is None or not line.by_block:
        return True
    by_block = [
        predicate
        for predicate in line.condition.predicates()
        if predicate.variable.level is Level.BLOCK
    ]
    return len(by_block) <= 1 and (not isinstance(line.condition.root, Some) or _steady(line))


def _watermarks(policy: Policy) -> Iterator[Problem]:
    """Find a stop condition that holds already when deletions start."""
    starts = [mark for condition in policy.when for mark in _marks(condition, (">", ">="))]
    stops = [mark for condition in policy.until for mark in _marks(condition, ("<", "<="))]
    if starts and stops and max(stops) > min(starts):
        message = (
            f"it starts over {min(starts):g} and stops under {max(stops):g}: expected a lower stop"
        )
        yield Problem(Spot(0, 0), message, warning=True)
    if any(
        predicate.variable.name == "always"
        for condition in policy.until
        for predicate in condition.predicates()
    ):
        yield Problem(
            Spot(0, 0), "Until always: each site stops after its first deletion", warning=True
        )


def _marks(condition: Condition, signs: Sequence[str]) -> Iterator[float]:
    for predicate in condition.predicates():
        comparison = predicate.comparison
        of_occupancy = predicate.variable.name == "site.occupancy"
        if of_occupancy and isinstance(comparison, Compares) and comparison.sign in signs:
            yield comparison.number
