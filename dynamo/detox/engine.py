"""The loop: evaluate, delete at one site, evaluate what that touched, until none needs more."""

from dataclasses import dataclass, replace

import numpy as np

from dynamo.detox.application import Applier
from dynamo.detox.builtin_rules import guarded, is_own
from dynamo.detox.compiled_policy import prepared
from dynamo.detox.evaluation import Evaluated, Evaluator
from dynamo.detox.limits import Limits, limited
from dynamo.detox.plan import Plan
from dynamo.detox.plan_builder import Finished, report
from dynamo.detox.selection import Selector
from dynamo.detox.state import CycleState
from dynamo.detox.unlinking import Unlinker
from dynamo.errors import Invalid
from dynamo.inventory.snapshot import Amounts, Flags, Snapshot
from dynamo.policy.conditions import any_on_sites, compiled
from dynamo.policy.diagnostics import nearest
from dynamo.policy.image import Image, Places, Standing, View
from dynamo.policy.locking import locked
from dynamo.policy.partitions import Partitions
from dynamo.policy.placement_rules import Enforcer, needed
from dynamo.policy.syntax import Policy


@dataclass(frozen=True, slots=True)
class Question:
    """What Detox is asked: a policy on an inventory at a moment."""

    snapshot: Snapshot
    partitions: Partitions
    policy: Policy
    moment: float
    """Seconds since 1970; relative times are read from it."""
    enforcers: tuple[Enforcer, ...] = ()
    """Placement rules, whose copies are `replica.enforcer_protected`."""


def decide(asked: Question, limits: Limits | None = None) -> Plan:
    """Decide what goes. Raises Invalid for an unknown partition, TimeError for no such day."""
    name, known = asked.policy.partition, asked.partitions.by_name
    if name not in known:
        raise Invalid(f"there is no partition {name}{nearest(name, known)}")
    bounds = limits or Limits()
    own = replace(asked, policy=guarded(asked.policy, asked.snapshot))
    return limited(_Run(own, bounds).run(), bounds)


def targeted(asked: Question, held: Flags) -> tuple[Standing, Flags]:
    """Return how full the partition is, and the sites with a quota that an `On` line names."""
    standing = asked.partitions.standing(asked.snapshot, asked.policy.partition, held)
    named = any_on_sites(
        [compiled(condition, asked.moment) for condition in asked.policy.on], standing
    )
    return standing, named & ~np.isnan(standing.quota)


def seen(asked: Question, held: Flags, sites: Flags) -> Image:
    """Return what the cycle sees, with locks and placement rules looked up in it."""
    image = Image.cut(asked.snapshot, held, sites)
    image.locked = locked(image, asked.snapshot.locks)
    image.enforced = needed(image, asked.enforcers, asked.partitions, asked.moment)
    return image


class _Run:
    """One cycle."""

    def __init__(self, asked: Question, limits: Limits) -> None:
        policy, now = asked.policy, asked.moment
        self.asked = asked
        members = asked.partitions.members(policy.partition, now)
        held = members.of_snapshot(asked.snapshot)
        self.start, self.targets = targeted(asked, held)
        self.image = seen(asked, held, self.targets)
        when = [compiled(condition, now) for condition in policy.when]
        self.triggered = self.targets & any_on_sites(when, self.start)
        self.cycle = CycleState(
            self.image, self.start.quota, self.image.used(), self.triggered.copy()
        )
        self.stack = prepared(policy, self.image, now)
        unlinker = Unlinker(self.cycle, members)
        until = tuple(compiled(condition, now) for condition in policy.until)
        self.walker = Evaluator(self.stack)
        self.applier = Applier(self.cycle, self.stack, unlinker)
        self.chooser = Selector(self.cycle, unlinker, until, policy.order, limits.per_round)
        self.site_order: dict[int, None] = {}

    def run(self) -> Plan:
        """Go through rounds until no site that needs room has anything to give."""
        waiting = np.flatnonzero(self.cycle.remaining)
        while True:
            self.cycle.round += 1
            ignored = self._evaluate(waiting)
            if not self._choose():
                return report(self._finished())
            self.cycle.reconsider(ignored, View.of(self.image, ignored).rows)
            waiting = self.cycle.to_evaluate()

    def _evaluate(self, waiting: Places) -> Places:
        """Walk replicas down the lines, by dataset and site; return those that lines ignore.

        What a line deletes at one site is gone when the next site's replica of the dataset is
        looked at. So all are walked at once, but of each dataset only those up to the first that
        loses something count; the others are walked again.
        """
        self.cycle.deciding = True
        emptied, ignored = [np.zeros(0, np.intp)], [np.zeros(0, np.intp)]
        while len(waiting):
            everything = len(waiting) == self.image.n_replicas
            walked = self.walker.walk(View.of(self.image, None if everything else waiting))
            accepted = self._undisturbed(walked)
            gone, left = self.applier.apply(walked, accepted)
            emptied.append(gone)
            ignored.append(left)
            waiting = waiting[~accepted]
        self.cycle.vanish(np.concatenate(emptied))
        self.cycle.deciding = False
        return np.concatenate(ignored)

    def _undisturbed(self, walked: Evaluated) -> Flags:
        losing = self.applier.deletes(walked)
        if not self.stack.shared or not losing.any():
            return np.ones(len(losing), np.bool_)
        before: Amounts = np.cumsum(losing) - losing
        begins = np.diff(walked.view.dataset, prepend=-1) != 0
        at_begin: Amounts = before[begins][np.cumsum(begins) - 1]
        return np.asarray(before == at_begin)

    def _choose(self) -> bool:
        """Delete at the sites whose turn it is; return whether anything changed."""
        turns = self.chooser.turns(one_site=self.asked.policy.iterative)
        before = int(self.cycle.triggered.sum())
        for site, candidates in turns.items():
            self.site_order[site] = None
            self.chooser.work_off(site, candidates, one_round=self.asked.policy.iterative)
        return bool(turns) and (
            bool(self.cycle.touched) or int(self.cycle.triggered.sum()) != before
        )

    def _finished(self) -> Finished:
        theirs = {line.number for line in self.asked.policy.lines if not is_own(line)}
        unmatched = theirs - self.walker.matched
        return Finished(
            policy=self.asked.policy,
            moment=self.asked.moment,
            cycle=self.cycle,
            targets=self.targets,
            used_before=self.start.used,
            triggered=self.triggered,
            site_order=tuple(self.site_order),
            unmatched=tuple(sorted(unmatched)),
            evidence=self.walker.evidence,
        )
