"""Partitions: named shares of storage, defined by conditions or as unions of others."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np

from dynamo.inventory.snapshot import Definition, Flags, Numbers, Snapshot
from dynamo.policy.conditions import Holds, compiled
from dynamo.policy.diagnostics import Problem, Spot, nearest, refusal
from dynamo.policy.image import Image, Standing, View
from dynamo.policy.reader import check_condition
from dynamo.policy.syntax import Condition
from dynamo.policy.variables import Scope


@dataclass(frozen=True, slots=True)
class Partition:
    """A share of storage: a condition, or the names of the partitions it unites."""

    name: str
    condition: Condition | None
    parts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Partitions:
    """All partitions of a system, in order of definition."""

    by_name: Mapping[str, Partition]

    def leaves(self, name: str) -> tuple[Partition, ...]:
        """Return the partitions with conditions that make up this one."""
        partition = self.by_name[name]
        if partition.condition is not None:
            return (partition,)
        leaves = {leaf.name: leaf for part in partition.parts for leaf in self.leaves(part)}
        return tuple(leaves.values())

    def members(self, name: str, now: float) -> "Members":
        """Return the membership test of a partition at a moment."""
        conditions = [leaf.condition for leaf in self.leaves(name) if leaf.condition is not None]
        return Members(
            tuple(conditions), tuple(compiled(condition, now) for condition in conditions)
        )

    def quota(self, snapshot: Snapshot, name: str) -> Numbers:
        """Return a partition's bytes per site, its own or the sum of its parts; NaN = no quota."""
        partition = self.by_name[name]
        if partition.condition is not None:
            names = [definition.name for definition in snapshot.partitions]
            return np.asarray(snapshot.quotas[names.index(name)])
        parts = [self.quota(snapshot, part) for part in partition.parts]
        return reduce(_both, parts, np.full(len(snapshot.sites.labels), np.nan))

    def standing(self, snapshot: Snapshot, name: str, members: Flags) -> Standing:
        """Return how full a partition is at every site, given the flags of its rows."""
        rows = snapshot.block_replicas
        site = snapshot.replicas.site[rows.replica[members]]
        used = np.zeros(len(snapshot.sites.labels), np.int64)
        np.add.at(used, site, rows.size[members])
        places = np.arange(len(used), dtype=np.int32)
        return Standing(snapshot.sites, places, self.quota(snapshot, name), used)

    def check_quotas(self, snapshot: Snapshot) -> list[str]:
        """Return errors: quotas of unions, and unlimited parts of unions."""
        united = {part for partition in self.by_name.values() for part in partition.parts}
        errors = []
        for row, definition in enumerate(snapshot.partitions):
            quotas = snapshot.quotas[row]
            if self.by_name[definition.name].parts and not np.isnan(quotas).all():
                errors.append(f"{definition.name} unites others and cannot have a quota of its own")
            if definition.name in united and np.isinf(quotas).any():
                errors.append(
                    f"{definition.name} is part of another partition and cannot be unlimited"
                )
        return errors


def _both(left: Numbers, right: Numbers) -> Numbers:
    return np.where(np.isnan(left), right, np.where(np.isnan(right), left, left + right))


@dataclass(frozen=True, slots=True)
class Members:
    """Tests whether block replicas belong to a partition."""

    conditions: tuple[Condition, ...]
    holds: tuple[Holds, ...]

    def rows(self, view: View) -> Flags:
        """Return flags of the rows of a view that belong to the partition."""
        flags = np.zeros(len(view.rows), np.bool_)
        for condition in self.holds:
            flags |= condition.on_rows(view)
        return flags

    def of_snapshot(self, snapshot: Snapshot) -> Flags:
        """Return flags of the block replicas of a snapshot that belong to the partition."""
        return self.rows(View.of(Image.whole(snapshot)))

    @property
    def by_owner_and_site(self) -> bool:
        """Return whether the partition depends on owner and site alone."""
        used = {variable.name for condition in self.conditions for variable in condition.variables}
        return all(name == "blockreplica.owner" or name.startswith("site.") for name in used)


def read_partitions(definitions: Sequence[Definition], source: str = "partitions") -> Partitions:
    """Return the partitions of these definitions. Raises Invalid with all errors."""
    rows = [
        _Row(number, f"{definition.name}: {definition.text}", definition, len(definition.name) + 3)
        for number, definition in enumerate(definitions, 1)
    ]
    return _checked(rows, source)


def read_partition_file(text: str, source: str = "partitions") -> tuple[Definition, ...]:
    """Parse lines `name: condition` or `name: [A, B]`; # begins a comment. Raises Invalid."""
    rows, problems = [], []
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        name, colon, definition = line.partition(":")
        if not colon or not name.strip() or not definition.strip():
            problems.append(
                Problem(Spot(number, 1), "expected <name>: <condition> or <name>: [A, B]", line)
            )
            continue
        column = len(line) - len(definition.lstrip()) + 1
        rows.append(_Row(number, line, Definition(name.strip(), definition.strip()), column))
    if problems:
        raise refusal(problems, source)
    _checked(rows, source)
    return tuple(row.definition for row in rows)


@dataclass(frozen=True, slots=True)
class _Row:
    number: int
    line: str
    definition: Definition
    column: int


def _checked(rows: Sequence[_Row], source: str) -> Partitions:
    problems: list[Problem] = []
    names = {row.definition.name for row in rows}
    by_name: dict[str, Partition] = {}
    for row in rows:
        if row.definition.name in by_name:
            problems.append(
                Problem(Spot(row.number, 1), f"{row.definition.name} is defined twice", row.line)
            )
        by_name[row.definition.name] = _partition(row, names, problems)
    problems += [
        Problem(Spot(row.number, row.column), f"{row.definition.name} contains itself", row.line)
        for row in rows
        if row.definition.name in _below(row.definition.name, by_name)
    ]
    if any(not problem.warning for problem in problems):
        raise refusal(problems, source)
    return Partitions(by_name)


def _partition(row: _Row, names: set[str], problems: list[Problem]) -> Partition:
    name, text = row.definition.name, row.definition.text.strip()
    if not text.startswith("["):
        condition, condition_problems = check_condition(
            text, Scope.REPLICA, Spot(row.number, row.column), row.line
        )
        problems += condition_problems
        return Partition(name, condition)
    if not text.endswith("]"):
        problems.append(Problem(Spot(row.number, row.column), "expected a closing ]", row.line))
    parts = tuple(part.strip() for part in text[1:].removesuffix("]").split(",") if part.strip())
    unknown = [part for part in parts if part not in names]
    for part in unknown:
        column = row.line.find(part, row.column) + 1
        problems.append(
            Problem(
                Spot(row.number, column),
                f"there is no partition {part}{nearest(part, names)}",
                row.line,
            )
        )
    if not parts:
        problems.append(
            Problem(Spot(row.number, row.column), "expected names of partitions in [ ]", row.line)
        )
    return Partition(name, None, parts)


def _below(name: str, by_name: Mapping[str, Partition]) -> set[str]:
    """Return all direct and indirect parts of a partition."""
    parts: set[str] = set()

    def below(partition: Partition | None) -> Iterator[str]:
        for part in partition.parts if partition else ():
            if part not in parts:
                parts.add(part)
                yield part
                yield from below(by_name.get(part))

    for _ in below(by_name.get(name)):
        pass
    return parts
