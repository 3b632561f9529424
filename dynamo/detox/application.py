"""Turns the outcome of a walk into protections, dismissals and deletions."""

from dataclasses import dataclass

import numpy as np

from dynamo.detox.compiled_policy import DELETE, DISMISS, IGNORE, PROTECT, CompiledPolicy, verb_at
from dynamo.detox.evaluation import NO_LINE, Evaluated
from dynamo.detox.state import CycleState
from dynamo.detox.unlinking import Unlinker, may_hand_over
from dynamo.inventory.snapshot import Codes, Flags
from dynamo.policy.image import Places

_LAST = np.iinfo(np.int32).max


@dataclass(slots=True, eq=False)
class Applier:
    """Applies walks to the state of a cycle."""

    cycle: CycleState
    stack: CompiledPolicy
    unlinker: Unlinker

    def deletes(self, walked: Evaluated) -> Flags:
        """Tell which replicas lose something at once."""
        losing = verb_at(self.stack, walked.last, DELETE)
        rows = verb_at(self.stack, walked.taken, DELETE)
        losing[walked.view.place[rows]] = True
        return losing

    def apply(self, walked: Evaluated, accepted: Flags) -> tuple[Places, Places]:
        """Apply the walks of some replicas; return those that were emptied, and the ignored ones.

        Emptied ones stay visible until the evaluation is over.
        """
        view = walked.view
        rows = accepted[view.place]
        self.cycle.reconsider(view.replicas[accepted], view.rows[rows])
        hard = accepted & self._hard(walked)
        easy = accepted & ~hard
        emptied = [self._apply_easily(walked, easy)]
        emptied += [self._apply_one(walked, place) for place in np.flatnonzero(hard).tolist()]
        last = walked.last
        ignored = view.replicas[accepted & verb_at(self.stack, last, IGNORE)]
        self.cycle.remaining[ignored] = False
        return np.concatenate(emptied), ignored

    def _hard(self, walked: Evaluated) -> Flags:
        """Tell which replicas may hand blocks over, so that the order of their lines matters."""
        view = walked.view
        if not self.deletes(walked).any():
            return np.zeros(len(view.replicas), np.bool_)
        in_parts = np.zeros(len(view.replicas), np.bool_)
        in_parts[view.place[walked.taken != NO_LINE]] = True
        return self.deletes(walked) & in_parts & may_hand_over(view)

    def _apply_easily(self, walked: Evaluated, easy: Flags) -> Places:
        """Apply walks whose lines do not get in each other's way, all at once."""
        view, cycle = walked.view, self.cycle
        mine = easy[view.place]
        rest = mine & view.present
        taken = mine & (walked.taken != NO_LINE)
        last = walked.last[view.place]
        line = np.where(taken, walked.taken, last)
        for verb, act in ((PROTECT, cycle.protect), (DISMISS, cycle.dismiss)):
            chosen = (rest | taken) & verb_at(self.stack, line, verb)
            if chosen.any():
                act(view.rows[chosen], line[chosen])
        cycle.as_whole[view.replicas[easy & verb_at(self.stack, walked.last, DISMISS)]] = True
        gone = (rest | taken) & verb_at(self.stack, line, DELETE)
        held = view.any(np.zeros(len(mine), np.bool_))
        held[view.place[taken & ~gone]] = True
        protected = easy & verb_at(self.stack, walked.last, PROTECT) & ~held
        cycle.remaining[view.replicas[protected]] = False
        if gone.any():
            self._delete(walked, gone, line)
        emptied = view.replicas[easy & verb_at(self.stack, walked.last, DELETE) & ~held]
        cycle.ending[emptied] = True
        return emptied

    def _delete(self, walked: Evaluated, gone: Flags, line: Codes) -> None:
        """Delete rows, by replica and line; the last line of a walk comes last."""
        view = walked.view
        turn = np.where(view.present, _LAST, walked.taken)
        places = np.flatnonzero(gone)
        places = places[np.lexsort((turn[places], view.place[places]))]
        begins = np.diff(view.place[places], prepend=-1) != 0
        begins |= np.diff(turn[places], prepend=-1) != 0
        self.cycle.delete(view.rows[places], line[places], begins)

    def _apply_one(self, walked: Evaluated, place: int) -> Places:
        """Apply a walk line by line, as blocks may change hands; return the replica if emptied."""
        view, cycle = walked.view, self.cycle
        replica = int(view.replicas[place])
        mine = np.flatnonzero(view.place == place)
        rest = view.rows[mine[view.present[mine] | (walked.taken[mine] != NO_LINE)]]
        for number in np.unique(walked.taken[mine[walked.taken[mine] != NO_LINE]]).tolist():
            rows = view.rows[mine[walked.taken[mine] == number]]
            done = self._act(replica, rows, number)
            rest = np.setdiff1d(rest, done)
        last = int(walked.last[place])
        verb = int(self.stack.verbs[last])
        cycle.as_whole[replica] = verb == DISMISS
        if verb != IGNORE:
            self._act(replica, rest, last)
        if verb == PROTECT and len(rest) == int(cycle.image.counts.rows[replica]):
            cycle.remaining[replica] = False
        emptied = verb == DELETE and not cycle.image.counts.rows[replica]
        cycle.ending[replica] |= emptied
        return np.array([replica] if emptied else [], np.intp)

    def _act(self, replica: int, rows: Places, number: int) -> Places:
        """Apply one line to rows; return those that the following lines no longer see."""
        lines = np.full(len(rows), number, np.int32)
        verb = int(self.stack.verbs[number])
        if verb == DELETE:
            return self.unlinker.unlink(replica, rows, number)
        if verb == PROTECT:
            self.cycle.protect(rows, lines)
        else:
            self.cycle.dismiss(rows, lines)
        return rows
