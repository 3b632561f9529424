"""Evaluates the lines for each replica: the last line, and the lines that took blocks before."""

from dataclasses import dataclass, field

import numpy as np

from dynamo.detox.compiled_policy import CompiledPolicy, Run, Single
from dynamo.detox.plan import Evidence
from dynamo.inventory.snapshot import Codes, Flags
from dynamo.policy.comparisons import Texts
from dynamo.policy.conditions import values
from dynamo.policy.image import View
from dynamo.policy.variables import Level, Variable

NO_LINE = -1


@dataclass(frozen=True, slots=True, eq=False)
class Evaluated:
    """The result of an evaluation; `view.present` flags the rows that the last line applies to."""

    view: View
    last: Codes
    """Per replica: the line that decided it; 0 = the default decision."""
    taken: Codes
    """Per row: the line that took it away before; -1 = no line."""


@dataclass(slots=True, eq=False)
class Evaluator:
    """Records over all evaluations which lines matched, and the values of changing variables."""

    stack: CompiledPolicy
    matched: set[int] = field(default_factory=set)
    evidence: dict[str, Evidence] = field(default_factory=dict)

    def walk(self, view: View) -> Evaluated:
        """Evaluate all lines for the replicas of a view."""
        last = np.full(len(view.replicas), NO_LINE, np.int32)
        taken = np.full(len(view.rows), NO_LINE, np.int32)
        for step in self.stack.steps:
            waiting = last == NO_LINE
            if not waiting.any():
                break
            if isinstance(step, Run):
                self._run(step, view, last)
            elif step.by_block:
                self._by_block(step, view, last, taken)
            else:
                hit = waiting & step.holds.on_replicas(view)
                self._note(step, view, hit)
                last[hit] = step.number
        last[last == NO_LINE] = 0
        return Evaluated(view, last, taken)

    def _run(self, step: Run, view: View, last: Codes) -> None:
        first = step.first[view.dataset]
        hit = (last == NO_LINE) & (first > 0)
        last[hit] = first[hit]
        self.matched.update(np.unique(first[hit]).tolist())

    def _by_block(self, step: Single, view: View, last: Codes, taken: Codes) -> None:
        """Take matching rows away; a line that matches all rows of a replica decides it."""
        hit = (last == NO_LINE) & step.holds.on_replicas(view)
        if not hit.any():
            return
        rows = view.present & hit[view.place] & step.holds.on_rows(view)
        fitting = view.count(rows)
        hit &= fitting > 0
        self._note(step, view, hit)
        whole = hit & (fitting == view.remaining)
        last[whole] = step.number
        rows &= ~whole[view.place]
        if rows.any():
            taken[rows] = step.number
            view.take_away(rows)

    def _note(self, step: Single, view: View, hit: Flags) -> None:
        if hit.any():
            self.matched.add(step.number)
            for variable in step.moving:
                self._remember(variable, view, hit)

    def _remember(self, variable: Variable, view: View, hit: Flags) -> None:
        known = values(variable, view)
        column = known.codes if isinstance(known, Texts) else known
        if column is None:
            return
        by_row = variable.level is Level.BLOCK
        if variable.name not in self.evidence:
            size = len(view.image.replica) if by_row else view.image.n_replicas
            labels = tuple(known.labels) if isinstance(known, Texts) else None
            self.evidence[variable.name] = Evidence(by_row, np.zeros(size, column.dtype), labels)
        stored = self.evidence[variable.name].values
        if by_row:
            rows = hit[view.place] & view.present
            stored[view.rows[rows]] = column[rows]
        else:
            stored[view.replicas[hit]] = column[hit]
