"""The syntax tree of a policy."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from dynamo.policy.comparisons import Comparison
from dynamo.policy.times import TimeExpression
from dynamo.policy.variables import Variable


@dataclass(frozen=True, slots=True)
class Predicate:
    """A comparison of one variable."""

    variable: Variable
    comparison: Comparison
    text: str


@dataclass(frozen=True, slots=True)
class All:
    """True if all parts are."""

    parts: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Some:
    """True if any part is."""

    parts: tuple["Node", ...]


Node = Predicate | All | Some


@dataclass(frozen=True, slots=True)
class Window:
    """Limits a condition to `until` a time, or `from` a time on."""

    time: TimeExpression
    ends: bool

    def open_at(self, now: float) -> bool:
        """Return whether a moment lies in the window."""
        edge = self.time.at(now)
        return now <= edge if self.ends else now >= edge


@dataclass(frozen=True, slots=True)
class Condition:
    """The condition of a line."""

    text: str
    root: Node
    windows: tuple[Window, ...] = ()

    def predicates(self) -> Iterator[Predicate]:
        """Yield all predicates, from left to right."""
        waiting = [self.root]
        while waiting:
            node = waiting.pop()
            if isinstance(node, Predicate):
                yield node
            else:
                waiting.extend(reversed(node.parts))

    @property
    def variables(self) -> tuple[Variable, ...]:
        """Return the variables of the condition, each once."""
        return tuple(
            {
                predicate.variable.name: predicate.variable for predicate in self.predicates()
            }.values()
        )


class Verb(Enum):
    """The action of a line on the replicas that match."""

    IGNORE = "Ignore"
    PROTECT = "Protect"
    DELETE = "Delete"
    DISMISS = "Dismiss"


@dataclass(frozen=True, slots=True)
class Line:
    """A rule of the stack, or the default decision."""

    number: int
    """The number among the rules, from 1; 0 is the default decision."""
    verb: Verb
    by_block: bool
    condition: Condition | None
    text: str
    at: int
    """The line number in the file."""


@dataclass(frozen=True, slots=True)
class SortKey:
    """One key of the order in which dismissed replicas go."""

    variable: Variable
    decreasing: bool


@dataclass(frozen=True, slots=True)
class Policy:
    """A whole policy."""

    partition: str
    on: tuple[Condition, ...]
    when: tuple[Condition, ...]
    until: tuple[Condition, ...]
    lines: tuple[Line, ...]
    default: Line
    order: tuple[SortKey, ...]
    iterative: bool
    text: str

    def line(self, number: int) -> Line:
        """Return a rule by its number, 0 for the default decision."""
        return self.lines[number - 1] if number else self.default

    @property
    def attributes(self) -> frozenset[str]:
        """Return the attributes that producers must provide."""
        variables = [key.variable for key in self.order]
        for line in self.lines:
            variables.extend(line.condition.variables if line.condition else ())
        return frozenset(variable.attribute for variable in variables if variable.attribute)
