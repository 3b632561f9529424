"""What is allowed but surely not meant: lines never reached, watermarks in contradiction."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations

from dynamo.policy.comparisons import Compares, Fits
from dynamo.policy.problems import Problem, Spot
from dynamo.policy.reading import Known, Reading, read_policy
from dynamo.policy.tree import All, Condition, Line, Policy, Predicate
from dynamo.policy.variables import Level

_MOST_PREDICATES = 6


def check_policy(
    text: str, source: str = "policy", *, partition: str | None = None, known: Known | None = None
) -> Reading:
    """Read a policy and also warn of what is surely not meant."""
    reading = read_policy(text, source, partition=partition, known=known)
    if reading.parsed is None:
        return reading
    problems = sorted(
        [*reading.problems, *advice(reading.parsed)], key=lambda problem: problem.spot
    )
    return replace(reading, problems=tuple(problems))


def advice(policy: Policy) -> list[Problem]:
    """Return warnings about a policy that can be read."""
    rows = policy.text.splitlines()
    return [*_unreachable(policy, rows), *_watermarks(policy)]


def _unreachable(policy: Policy, rows: Sequence[str]) -> Iterator[Problem]:
    """Find lines below one that asks for less: what would fit them has ended its walk there."""
    seen: dict[frozenset[str], Line] = {}
    for line in policy.lines:
        asked = _asked(line.condition)
        if asked is None:
            continue
        before = next((seen[part] for part in _parts(asked) if part in seen), None)
        if before is not None:
            message = f"never reached: line {before.at} takes all that fits it ({before.text})"
            yield Problem(Spot(line.at, 1), message, rows[line.at - 1], warning=True)
        elif _takes_all(line):
            seen[asked] = line


def _parts(asked: frozenset[str]) -> Iterator[frozenset[str]]:
    """Go through all selections of a few predicates."""
    if len(asked) > _MOST_PREDICATES:
        yield asked
        return
    for size in range(len(asked) + 1):
        yield from map(frozenset, combinations(asked, size))


def _asked(condition: Condition | None) -> frozenset[str] | None:
    """Return the predicates that must all hold; None for anything more complicated."""
    if condition is None or condition.windows:
        return None
    parts = condition.root.parts if isinstance(condition.root, All) else (condition.root,)
    if not all(isinstance(part, Predicate) for part in parts):
        return None
    return frozenset(
        part.text for part in parts if isinstance(part, Predicate) and not _always(part)
    )


def _always(predicate: Predicate) -> bool:
    """Tell whether a predicate fits everything, as `site.name == *` does."""
    comparison = predicate.comparison
    if not isinstance(comparison, Fits) or comparison.negated:
        return False
    return any(not pattern.text.strip("*") for pattern in comparison.patterns)


def _takes_all(line: Line) -> bool:
    """Tell whether nothing that fits can go on: predicates of blocks may fit different ones."""
    if line.condition is None or not line.by_block:
        return True
    by_block = [one for one in line.condition.predicates() if one.variable.level is Level.BLOCK]
    return len(by_block) <= 1


def _watermarks(policy: Policy) -> Iterator[Problem]:
    """Find a stop that holds already when deletions start."""
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
