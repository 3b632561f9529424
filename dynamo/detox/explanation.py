"""Explains decisions: the values of the variables of the deciding line, in columns."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from dynamo.detox.plan import Plan
from dynamo.inventory.snapshot import Amounts, Codes
from dynamo.policy.comparisons import Texts
from dynamo.policy.image import Image, Places, spread
from dynamo.policy.syntax import Line
from dynamo.policy.variables import Kind, Level, Variable

NO_LINE = -1
"""A hand-over: it follows from the owners of blocks, not from a line."""
_GROUP = Variable(
    name="group",
    level=Level.BLOCK,
    kind=Kind.TEXT,
    meaning="to whom a block is handed over",
    fixed=lambda image: Texts(image.snapshot.groups.labels, image.group),
)


class Reasons:
    """Explains the decisions of one plan.

    Lines with the same variables are explained at once, so that thousands of lines about names cost
    no more than one line.
    """

    def __init__(self, plan: Plan) -> None:
        """Collect the variables of each line."""
        self._image = plan.image
        facts: dict[str, _Fact | None] = {_GROUP.name: _fact(plan, _GROUP)}
        kinds: dict[tuple[str, ...], int] = {}
        kind_of = []
        for line in (plan.policy.default, *plan.policy.lines, None):
            for variable in _variables(line):
                if variable.name not in facts:
                    facts[variable.name] = _fact(plan, variable)
            names = tuple(used.name for used in _variables(line) if facts[used.name] is not None)
            kind_of.append(kinds.setdefault(names, len(kinds)))
        self._kind_of = np.array(kind_of)
        self._kinds = [[fact for name in names if (fact := facts[name])] for names in kinds]

    def facts(self, line: Codes, rows: Places, first: Amounts) -> Sequence[str]:
        """Return the values of the lines' variables when they decided, as JSON objects.

        Decision `d` is about `rows[first[d]:first[d + 1]]`, all of one dataset replica. For a
        variable of blocks, all distinct values are listed.
        """
        texts = np.empty(len(line), object)
        kind = self._kind_of[line]
        for number in np.unique(kind).tolist():
            chosen = np.flatnonzero(kind == number)
            template = _template(self._kinds[number])
            columns = [
                fact.texts(self._image, rows, first[chosen], first[chosen + 1])
                for fact in self._kinds[number]
            ]
            texts[chosen] = [template % row for row in zip(*columns, strict=True)] or "{}"
        return list(texts)


def _variables(line: Line | None) -> Sequence[Variable]:
    if line is None:
        return (_GROUP,)
    return line.condition.variables if line.condition else ()


def _template(facts: Sequence["_Fact"]) -> str:
    return "{" + ", ".join(f'"{fact.variable.name}": %s' for fact in facts) + "}"


@dataclass(frozen=True, slots=True, eq=False)
class _Fact:
    """The values of one variable, in its natural order or as of the time a line used it."""

    variable: Variable
    values: NDArray[np.generic] | None
    """None = each label once, in order."""
    labels: Sequence[str] | None
    """The texts that the values number; None for other kinds."""

    def texts(self, image: Image, rows: Places, begins: Amounts, ends: Amounts) -> list[str]:
        """Return the values of each range of rows as JSON."""
        if self.variable.level is not Level.BLOCK:
            return self._written(self._at(image, rows[begins]))
        places, _ = spread(begins, ends)
        values = self._at(image, rows[places])
        starts = np.cumsum(ends - begins) - (ends - begins)
        low, high = np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts)
        texts = self._written(low)
        for place in np.flatnonzero(low != high).tolist():
            size = int(ends[place] - begins[place])
            texts[place] = self._several(values[starts[place] : starts[place] + size])
        return texts

    def _at(self, image: Image, rows: Places) -> NDArray[np.generic]:
        # changing values are recorded per dataset replica at every level above blocks
        changing = self.variable.fixed is None and self.variable.level is not Level.BLOCK
        places = _natural(image, Level.REPLICA if changing else self.variable.level, rows)
        return places if self.values is None else self.values[places]

    def _written(self, values: NDArray[np.generic]) -> list[str]:
        distinct, codes = np.unique(values, return_inverse=True)
        texts = [_json(self._shown(value)) for value in distinct.tolist()]
        return [texts[place] for place in codes.tolist()]

    def _several(self, values: NDArray[np.generic]) -> str:
        shown = [self._shown(value) for value in np.unique(values).tolist()]
        return _json(shown if len(shown) > 1 else shown[0])

    def _shown(self, value: float) -> str | float | bool:
        if self.labels is not None:
            return self.labels[int(value)]
        if self.variable.kind is Kind.WORD:
            words = self.variable.words.items()
            return next((word for word, code in words if code == int(value)), str(value))
        if isinstance(value, float) and not math.isfinite(value):
            return "unlimited" if value > 0 else str(value)  # JSON has no number for it
        return bool(value) if self.variable.kind is Kind.BOOL else value


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _fact(plan: Plan, variable: Variable) -> _Fact | None:
    """Return the values of a variable; None for a changing variable that no line has used."""
    if variable.fixed is not None:
        known = variable.fixed(plan.image)
        if isinstance(known, Texts):
            return _Fact(variable, known.codes, known.labels)
        return _Fact(variable, known, None)
    evidence = plan.evidence.get(variable.name)
    return None if evidence is None else _Fact(variable, evidence.values, evidence.labels)


def _natural(image: Image, level: Level, rows: Places) -> Places:
    """Return the positions of a variable's values for the given rows."""
    if level is Level.BLOCK:
        return rows
    replica = image.replica[rows]
    if level is Level.REPLICA:
        return replica.astype(np.intp)
    return (image.dataset if level is Level.DATASET else image.site)[replica].astype(np.intp)
