"""Why a replica goes or stays: the line that decided, and what its variables were."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from dynamo.detox.plan import Decision, Plan, Verdict
from dynamo.policy.comparisons import Texts, Values
from dynamo.policy.image import Image, Places
from dynamo.policy.tree import Line
from dynamo.policy.variables import Kind, Level, Variable

Value = str | float | bool | list[str | float | bool]


@dataclass(frozen=True, slots=True)
class Reason:
    """One decision about one dataset at one site."""

    verdict: Verdict
    line: Line
    rows: Places
    size: int
    values: dict[str, Value]
    """Of the line's variables when it decided; of a block's variable, all different ones."""


def why(plan: Plan, dataset: str, site: str) -> tuple[Reason, ...]:
    """Return the decisions about a dataset at a site; none where it was not seen, or ignored."""
    return tuple(reason(plan, decision) for decision in plan.each_decision(dataset, site))


def reason(plan: Plan, decision: Decision) -> Reason:
    """Return the line behind a decision, and what its variables were."""
    return Reasons(plan).of(decision)


@dataclass(slots=True, eq=False)
class Reasons:
    """Explains many decisions of one plan: what is read of a whole image is read once."""

    plan: Plan
    _known: dict[str, Values] = field(default_factory=dict)

    def of(self, decision: Decision) -> Reason:
        """Return the line behind a decision, and what its variables were."""
        line = self.plan.line(decision.line)
        known = dict(self._values(line, decision.rows))
        return Reason(decision.verdict, line, decision.rows, decision.size, known)

    def _values(self, line: Line, rows: Places) -> Iterator[tuple[str, Value]]:
        for variable in line.condition.variables if line.condition else ():
            # the rows of a decision are of one dataset replica
            some = rows if variable.level is Level.BLOCK else rows[:1]
            found = (
                self._moving(variable, some)
                if variable.fixed is None
                else self._fixed(variable, some)
            )
            if found is not None:
                yield variable.name, found

    def _moving(self, variable: Variable, rows: Places) -> Value | None:
        evidence = self.plan.evidence.get(variable.name)
        if evidence is None:
            return None
        places = rows if evidence.by_row else self.plan.image.replica[rows]
        return _shown(variable, evidence.values[places], evidence.labels)

    def _fixed(self, variable: Variable, rows: Places) -> Value | None:
        if variable.fixed is None:
            return None
        if variable.name not in self._known:
            self._known[variable.name] = variable.fixed(self.plan.image)
        known = self._known[variable.name]
        natural = _natural(self.plan.image, variable.level, rows)
        if not isinstance(known, Texts):
            return _shown(variable, known[natural], None)
        codes = natural if known.codes is None else known.codes[natural]
        return _shown(variable, codes, known.labels)


def _natural(image: Image, level: Level, rows: Places) -> Places:
    if level is Level.BLOCK:
        return rows
    replica = image.replica[rows]
    if level is Level.REPLICA:
        return replica.astype(np.intp)
    return (image.dataset if level is Level.DATASET else image.site)[replica].astype(np.intp)


def _shown(variable: Variable, values: NDArray[np.generic], labels: Sequence[str] | None) -> Value:
    distinct = values.tolist() if len(values) == 1 else np.unique(values).tolist()
    shown = [_one(variable, value, labels) for value in distinct]
    return shown if len(shown) > 1 else shown[0]


def _one(variable: Variable, value: float, labels: Sequence[str] | None) -> str | float | bool:
    if labels is not None:
        return labels[int(value)]
    if variable.kind is Kind.WORD:
        named = (word for word, code in variable.words.items() if code == int(value))
        return next(named, str(value))
    return bool(value) if variable.kind is Kind.BOOL else value
