"""The loop of Detox: evaluate, delete at one site, evaluate the changed datasets again."""

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
from dynamo.policy.placement_evaluation import needed
from dynamo.policy.placement_rules import Enforcer
from dynamo.policy.syntax import Policy


@dataclass(frozen=True, slots=True)
class Question:
    """The input of Detox: a policy, an inventory and a moment."""

    snapshot: Snapshot
    partitions: Partitions
    policy: Policy
    moment: float
    """Seconds since 1970; relative times count from it."""
    enforcers: tuple[Enforcer, ...] = ()
    """Placement rules; the copies they need are `replica.enforcer_protected`."""


def decide(question: Question, limits: Limits | None = None) -> Plan:
    """Return the plan. Raises Invalid for an unknown partition, TimeError for a bad date."""
    name, known = question.policy.partition, question.partitions.by_name
    if name not in known:
        raise Invalid(f"there is no partition {name}{nearest(name, known)}")
    bounds = limits or Limits()
    own = replace(question, policy=guarded(question.policy, question.snapshot))
    return limited(_Run(own, bounds).run(), bounds)


def targeted(question: Question, members: Flags) -> tuple[Standing, Flags]:
    """Return how full the partition is, and flags of the target sites.

    A target has a quota and matches an `On` line.
    """
    standing = question.partitions.standing(question.snapshot, question.policy.partition, members)
    named = any_on_sites(
        [compiled(condition, question.moment) for condition in question.policy.on], standing
    )
    return standing, named & ~np.isnan(standing.quota)


def seen(question: Question, members: Flags, sites: Flags) -> Image:
    """Return the image of the cycle, with locks and placement rules applied."""
    image = Image.cut(question.snapshot, members, sites)
    image.locked = locked(image, question.snapshot.locks)
    image.enforced = needed(image, question.enforcers, question.partitions, question.moment)
    return image


class _Run:
    """One cycle."""

    def __init__(self, question: Question, limits: Limits) -> None:
        policy, now = question.policy, question.moment
        self.question = question
        members = question.partitions.members(policy.partition, now)
        members_now = members.of_snapshot(question.snapshot)
        self.start, self.targets = targeted(question, members_now)
        self.image = seen(question, members_now, self.targets)
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
        """Run rounds until no triggered site has a candidate."""
        waiting = np.flatnonzero(self.cycle.remaining)
        while True:
            self.cycle.round += 1
            ignored = self._evaluate(waiting)
            if not self._choose():
                return report(self._finished())
            self.cycle.reconsider(ignored, View.of(self.image, ignored).rows)
            waiting = self.cycle.to_evaluate()

    def _evaluate(self, waiting: Places) -> Places:
        """Evaluate replicas by dataset and site; return the replicas that lines ignore.

        A deletion at one site precedes the evaluation of the dataset's next replica. So all are
        evaluated at once, but of each dataset the results count only up to the first replica that
        loses blocks; the others are evaluated again.
        """
        self.cycle.deciding = True
        ignored = [np.zeros(0, np.intp)]
        while len(waiting):
            everything = len(waiting) == self.image.n_replicas
            evaluated = self.walker.walk(View.of(self.image, None if everything else waiting))
            accepted = self._undisturbed(evaluated)
            emptied, newly_ignored = self.applier.apply(evaluated, accepted)
            self.cycle.vanish(emptied)
            ignored.append(newly_ignored)
            waiting = waiting[~accepted]
        self.cycle.deciding = False
        return np.concatenate(ignored)

    def _undisturbed(self, evaluated: Evaluated) -> Flags:
        losing = self.applier.deletes(evaluated)
        if not self.stack.shared or not losing.any():
            return np.ones(len(losing), np.bool_)
        before: Amounts = np.cumsum(losing) - losing
        begins = np.diff(evaluated.view.dataset, prepend=-1) != 0
        at_begin: Amounts = before[begins][np.cumsum(begins) - 1]
        return np.asarray(before == at_begin)

    def _choose(self) -> bool:
        """Delete at the sites whose turn it is; return whether anything changed."""
        turns = self.chooser.turns(one_site=self.question.policy.iterative)
        before = int(self.cycle.triggered.sum())
        for site, candidates in turns.items():
            self.site_order[site] = None
            self.chooser.work_off(site, candidates, one_round=self.question.policy.iterative)
        return bool(turns) and (
            bool(self.cycle.touched) or int(self.cycle.triggered.sum()) != before
        )

    def _finished(self) -> Finished:
        of_policy = {line.number for line in self.question.policy.lines if not is_own(line)}
        unmatched = of_policy - self.walker.matched
        return Finished(
            policy=self.question.policy,
            moment=self.question.moment,
            cycle=self.cycle,
            targets=self.targets,
            used_before=self.start.used,
            triggered=self.triggered,
            site_order=tuple(self.site_order),
            unmatched=tuple(sorted(unmatched)),
            evidence=self.walker.evidence,
        )
