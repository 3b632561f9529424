"""Reads whole policies and single conditions, and finds all mistakes of a text at once."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace

from lark import Token, Tree

from dynamo.errors import Invalid
from dynamo.policy.checker import Checker, Wrong
from dynamo.policy.diagnostics import Findings, Problem, Spot, nearest, refusal
from dynamo.policy.parser import parse
from dynamo.policy.syntax import Condition, Line, Policy, SortKey, Verb
from dynamo.policy.variables import Kind, Scope

_MISSING = {
    "On": "there is no On line: expected the sites, such as On site.storage_type == DISK",
    "When": "there is no When line: expected what starts it, such as When site.occupancy > 0.9",
    "Until": "there is no Until line: expected what ends it, such as Until site.occupancy < 0.85",
    "default": "there is no default decision: expected a verb alone on its line, such as Dismiss",
    "Partition": "there is no Partition line and no partition was named",
}


@dataclass(frozen=True, slots=True)
class Known:
    """Existing partitions and attributes; None = not checked."""

    partitions: Collection[str] | None = None
    attributes: Collection[str] | None = None
    """Attributes that producers provide."""


@dataclass(frozen=True, slots=True)
class Reading(Findings):
    """The result of reading a policy."""

    parsed: Policy | None

    @property
    def policy(self) -> Policy:
        """Return the policy. Raises Invalid with all errors and their positions."""
        if self.parsed is None:
            raise refusal(self.problems, self.source)
        return self.parsed

    def show(self) -> str:
        """Return all errors and warnings as text for people."""
        return "\n".join(problem.show(self.source) for problem in self.problems)


def read_policy(
    text: str, source: str = "policy", *, partition: str | None = None, known: Known | None = None
) -> Reading:
    """Read a policy; `partition` is used if the text names none."""
    file = _File(text, partition)
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            file.read(number, line)
    policy = file.finish()
    if known is not None:
        file.compare(known)
    errors = any(not problem.warning for problem in file.problems)
    problems = tuple(sorted(file.problems, key=lambda problem: problem.spot))
    return Reading(source, problems, None if errors else policy)


def read_condition(text: str, scope: Scope, source: str = "condition") -> Condition:
    """Read one condition. Raises Invalid with all errors."""
    condition, problems = check_condition(text, scope, Spot(1, 1), text)
    if condition is None:
        raise refusal(problems, source)
    return condition


def check_condition(
    text: str, scope: Scope, spot: Spot, line: str
) -> tuple[Condition | None, list[Problem]]:
    """Read a condition that begins at a position of a larger line."""
    padded = " " * (spot.column - 1) + text
    checker = Checker(scope, spot.line, line)
    try:
        condition = checker.condition(parse(padded, "condition"), " ".join(text.split()))
    except Wrong as wrong:
        checker.report(wrong.where, wrong.message)
        condition = None
    return condition, checker.problems


@dataclass(slots=True)
class _File:
    """State of reading a policy."""

    text: str
    partition: str | None
    problems: list[Problem] = field(default_factory=list)
    sites: dict[str, list[Condition]] = field(
        default_factory=lambda: {"On": [], "When": [], "Until": []}
    )
    seen: set[str] = field(default_factory=set)
    lines: list[Line] = field(default_factory=list)
    rules: int = 0
    default: Line | None = None
    order: tuple[SortKey, ...] = ()
    iterative: bool = True
    named_at: Problem = field(default_factory=lambda: Problem(Spot(0, 0), ""))
    """The position of the partition's name, for a later error."""

    def read(self, number: int, line: str) -> None:
        """Read one line."""
        checker = Checker(Scope.REPLICA, number, line)
        try:
            tree = parse(line, "statement")
            _STATEMENTS[tree.data](self, checker, tree, line)
        except Wrong as wrong:
            checker.report(wrong.where, wrong.message)
        self.problems += checker.problems

    def take_partition(self, checker: Checker, tree: Tree[Token], line: str) -> None:
        """Record `Partition`."""
        word, *names = _tokens(tree)
        self._once("Partition", checker, word)
        self.partition = " ".join(names)
        self.named_at = Problem(Spot(checker.line, names[0].column or 0), "", line)

    def take_sites(self, checker: Checker, tree: Tree[Token], line: str) -> None:
        """Record `On`, `When` or `Until`."""
        word, condition = tree.children
        checker.scope = Scope.SITE
        self.seen.add(str(word))
        assert isinstance(condition, Tree)  # noqa: S101 - guaranteed by the grammar
        checked = checker.condition(condition, _after_keyword(line))
        if checked is not None:
            self.sites[str(word)].append(checked)

    def take_order(self, checker: Checker, tree: Tree[Token], _: str) -> None:
        """Record `Order`."""
        word, *keys = tree.children
        assert isinstance(word, Token)  # noqa: S101 - guaranteed by the grammar
        self._once("Order", checker, word)
        self.order = tuple(_sort_key(checker, key) for key in keys if isinstance(key, Tree))

    def take_algo(self, checker: Checker, tree: Tree[Token], _: str) -> None:
        """Record `Algo`."""
        name = _tokens(tree)[1]
        if name != "Static":
            checker.report(name, f"{name} has no effect; only Static has", warning=True)
            return
        self.iterative = False

    def take_action(self, checker: Checker, tree: Tree[Token], line: str) -> None:
        """Record a rule, or the default decision."""
        word, *rest = tree.children
        assert isinstance(word, Token)  # noqa: S101 - guaranteed by the grammar
        verb, by_block = Verb(word.removesuffix("Block")), word.endswith("Block")
        if not rest:
            self._once("default decision", checker, word)
            self.default = Line(0, verb, by_block, None, " ".join(line.split()), checker.line)
            return
        self.rules += 1
        assert isinstance(rest[0], Tree)  # noqa: S101 - guaranteed by the grammar
        condition = checker.condition(rest[0], _after_keyword(line))
        if condition is not None:
            text = " ".join(line.split())
            self.lines.append(Line(self.rules, verb, by_block, condition, text, checker.line))

    def _once(self, statement: str, checker: Checker, word: Token) -> None:
        if statement in self.seen:
            checker.report(word, f"a second {statement}: the last one counts", warning=True)
        self.seen.add(statement)

    def finish(self) -> Policy | None:
        """Return the policy; record errors for missing lines."""
        missing = [word for word in ("On", "When", "Until") if word not in self.seen]
        if self.default is None and "default decision" not in self.seen:
            missing.append("default")
        if self.partition is None:
            missing.append("Partition")
        end = len(self.text.splitlines()) + 1
        self.problems += [Problem(Spot(end, 0), _MISSING[what]) for what in missing]
        if self.default is None or self.partition is None:
            return None
        on, when, until = (tuple(self.sites[word]) for word in ("On", "When", "Until"))
        return Policy(
            self.partition,
            on,
            when,
            until,
            tuple(self.lines),
            self.default,
            self.order,
            self.iterative,
            self.text,
        )

    def compare(self, known: Known) -> None:
        """Record errors for names that do not exist in this system."""
        partition, partitions = self.partition, known.partitions
        if partitions is not None and partition is not None and partition not in partitions:
            hint = nearest(partition, partitions) or f": expected {', '.join(sorted(partitions))}"
            message = f"there is no partition {partition}{hint}"
            self.problems.append(replace(self.named_at, message=message))
        if known.attributes is not None:
            self.problems += self._unproduced(known.attributes)

    def _unproduced(self, attributes: Collection[str]) -> list[Problem]:
        rows = self.text.splitlines()
        return [
            Problem(
                Spot(line.at, rows[line.at - 1].find(variable.name) + 1),
                f"nothing here finds out {variable.name}: it is read as {variable.default}",
                rows[line.at - 1],
                warning=True,
            )
            for line in self.lines
            for variable in (line.condition.variables if line.condition else ())
            if variable.attribute and variable.attribute not in attributes
        ]


def _sort_key(checker: Checker, tree: Tree[Token]) -> SortKey:
    direction, name = _tokens(tree)
    variable = checker.variable(name)
    if not variable.sortable:
        raise Wrong(
            name,
            f"cannot sort by {name}, a {variable.kind.value} of a {variable.level.value}: "
            "expected a number or a time",
        )
    if variable.kind is Kind.WORD:
        message = f"Order sorts by the numbers behind the words of {name}"
        checker.report(name, message, warning=True)
    return SortKey(variable, direction == "decreasing")


def _tokens(tree: Tree[Token]) -> list[Token]:
    return list(tree.scan_values(lambda _: True))


def _after_keyword(line: str) -> str:
    return " ".join(line.split()[1:])


_STATEMENTS: Mapping[str, Callable[[_File, Checker, Tree[Token], str], None]] = {
    "partition": _File.take_partition,
    "on": _File.take_sites,
    "when": _File.take_sites,
    "until": _File.take_sites,
    "order": _File.take_order,
    "algo": _File.take_algo,
    "action": _File.take_action,
}

__all__ = ["Invalid", "Known", "Reading", "check_condition", "read_condition", "read_policy"]
