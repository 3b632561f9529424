"""Turns evaluated lines into protections, dismissals and deletions."""

from dataclasses import dataclass

import numpy as np

from dynamo.detox.compiled_policy import (
    DELETE,
    DISMISS,
    IGNORE,
    NO_VERB,
    PROTECT,
    CompiledPolicy,
    verb_at,
)
from dynamo.detox.evaluation import NO_LINE, Evaluated
from dynamo.detox.state import CycleState
from dynamo.detox.unlinking import Unlinker, may_hand_over
from dynamo.inventory.snapshot import Codes, Flags
from dynamo.policy.image import Places

_LAST = np.iinfo(np.int32).max


@dataclass(slots=True, eq=False)
class Applier:
    """Applies evaluated lines to the state of a cycle."""

    cycle: CycleState
    stack: CompiledPolicy
    unlinker: Unlinker

    def deletes(self, evaluated: Evaluated) -> Flags:
        """Return flags of replicas that lose blocks at once."""
        losing = verb_at(self.stack, evaluated.last, DELETE)
        rows = verb_at(self.stack, evaluated.taken, DELETE)
        losing[evaluated.view.place[rows]] = True
        return losing

    def apply(self, evaluated: Evaluated, accepted: Flags) -> tuple[Places, Places]:
        """Apply the lines of accepted replicas; return the emptied and the ignored replicas."""
        view = evaluated.view
        rows = accepted[view.place]
        self.cycle.reconsider(view.replicas[accepted], view.rows[rows])
        hard = accepted & self._hard(evaluated)
        easy = accepted & ~hard
        emptied = [self._apply_easily(evaluated, easy)]
        emptied += [self._apply_one(evaluated, place) for place in np.flatnonzero(hard).tolist()]
        last = evaluated.last
        ignored = view.replicas[accepted & verb_at(self.stack, last, IGNORE)]
        self.cycle.remaining[ignored] = False
        return np.concatenate(emptied), ignored

    def _hard(self, evaluated: Evaluated) -> Flags:
        """Return flags of replicas that may hand blocks over: the order of their lines matters."""
        view = evaluated.view
        if not self.deletes(evaluated).any():
            return np.zeros(len(view.replicas), np.bool_)
        in_parts = np.zeros(len(view.replicas), np.bool_)
        in_parts[view.place[evaluated.taken != NO_LINE]] = True
        return self.deletes(evaluated) & in_parts & may_hand_over(view)

    def _apply_easily(self, evaluated: Evaluated, easy: Flags) -> Places:
        """Apply lines whose order does not matter, all at once."""
        view, cycle = evaluated.view, self.cycle
        of_easy = easy[view.place]
        remaining = of_easy & view.present
        taken = of_easy & (evaluated.taken != NO_LINE)
        last = evaluated.last[view.place]
        line = np.where(taken, evaluated.taken, last)
        for verb, act in ((PROTECT, cycle.protect), (DISMISS, cycle.dismiss)):
            chosen = (remaining | taken) & verb_at(self.stack, line, verb)
            if chosen.any():
                act(view.rows[chosen], line[chosen])
        gone = (remaining | taken) & verb_at(self.stack, line, DELETE)
        partly_kept = view.any(np.zeros(len(of_easy), np.bool_))
        partly_kept[view.place[taken & ~gone]] = True
        protected = easy & verb_at(self.stack, evaluated.last, PROTECT) & ~partly_kept
        cycle.remaining[view.replicas[protected]] = False
        if gone.any():
            self._delete(evaluated, gone, line)
        return view.replicas[easy & verb_at(self.stack, evaluated.last, DELETE) & ~partly_kept]

    def _delete(self, evaluated: Evaluated, gone: Flags, line: Codes) -> None:
        """Delete rows by replica and line; the last line of a replica comes last."""
        view = evaluated.view
        turn = np.where(view.present, _LAST, evaluated.taken)
        places = np.flatnonzero(gone)
        places = places[np.lexsort((turn[places], view.place[places]))]
        begins = np.diff(view.place[places], prepend=-1) != 0
        begins |= np.diff(turn[places], prepend=-1) != 0
        self.cycle.delete(view.rows[places], line[places], begins)

    def _apply_one(self, evaluated: Evaluated, place: int) -> Places:
        """Apply lines one by one, as blocks may change owner; return the replica if emptied."""
        view, cycle = evaluated.view, self.cycle
        replica = int(view.replicas[place])
        own_rows = np.flatnonzero(view.place == place)
        remaining = view.rows[
            own_rows[view.present[own_rows] | (evaluated.taken[own_rows] != NO_LINE)]
        ]
        for number in np.unique(
            evaluated.taken[own_rows[evaluated.taken[own_rows] != NO_LINE]]
        ).tolist():
            rows = view.rows[own_rows[evaluated.taken[own_rows] == number]]
            done = self._act(replica, rows, number)
            remaining = np.setdiff1d(remaining, done)
        last = int(evaluated.last[place])
        verb = int(self.stack.verbs[last])
        if verb not in {IGNORE, NO_VERB}:
            self._act(replica, remaining, last)
        if verb == PROTECT and len(remaining) == int(cycle.image.counts.rows[replica]):
            cycle.remaining[replica] = False
        emptied = verb == DELETE and not cycle.image.counts.rows[replica]
        return np.array([replica] if emptied else [], np.intp)

    def _act(self, replica: int, rows: Places, number: int) -> Places:
        """Apply one line to rows; return the rows that later lines no longer see."""
        lines = np.full(len(rows), number, np.int32)
        verb = int(self.stack.verbs[number])
        if verb == DELETE:
            return self.unlinker.unlink(replica, rows, number)
        if verb == PROTECT:
            self.cycle.protect(rows, lines)
        else:
            self.cycle.dismiss(rows, lines)
        return rows
