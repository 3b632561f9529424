"""Golden cases of kind `detox`: cycles of the first Dynamo, answered by our Detox."""

from collections import defaultdict

import numpy as np

from dynamo.detox.engine import Question, decide
from dynamo.detox.limits import Limits
from dynamo.detox.plan import Deletion, Plan, Verdict
from dynamo.errors import Invalid
from dynamo.golden.answers import Answer, error
from dynamo.golden.cases import Json, load
from dynamo.golden.partitions import partition_content, quota_of
from dynamo.policy.image import Places
from dynamo.policy.placement_rules import enforcer_from
from dynamo.policy.reader import Known, read_policy
from dynamo.policy.times import TimeError

_LISTS = {Verdict.PROTECT: "protect", Verdict.DELETE: "delete", Verdict.KEEP: "keep"}


def detox(case: Json) -> Answer:
    """Answer a cycle of Detox."""
    try:
        loaded = load(case)
    except Invalid as wrong:
        return error("inventory", wrong)
    content = {"partition_content": partition_content(loaded)}
    try:
        known = Known(partitions=loaded.partitions.by_name)
        policy = read_policy(case["policy"], str(case.get("id", "policy")), known=known).policy
        rules = case["inventory"].get("enforcer")
        enforcers = (enforcer_from(rules),) if rules else ()
    except Invalid as wrong:
        return error("policy", wrong) | content
    per_round = (case.get("detox") or {}).get("deletion_per_iteration", Limits().per_round)
    question = Question(loaded.snapshot, loaded.partitions, policy, loaded.now, enforcers)
    try:
        plan = decide(question, Limits(per_round=per_round))
    except (Invalid, TimeError) as wrong:
        return error("run", wrong) | content
    return {"status": "ok"} | content | decided(plan, case)


def decided(plan: Plan, case: Json) -> Answer:
    """Write a plan as the cases do."""
    names = _Names(plan)
    quotas = {
        state.site: quota_of(case["inventory"], state.site, plan.policy.partition)
        for state in plan.sites
    }
    return {
        "target_sites": [state.site for state in plan.sites],
        "triggered": [state.site for state in plan.sites if state.triggered],
        "usage_before": {
            one.site: {"quota": quotas[one.site], "used": one.used_before} for one in plan.sites
        },
        "usage_after": {
            one.site: {"quota": quotas[one.site], "used": one.used_after} for one in plan.sites
        },
        "decisions": _decisions(plan, names),
        "undecided": names.by_site(plan.ignored),
        "deletion_order": _order(plan, names, tied=case.get("deletion_order_defined") is False),
        "reowned": _reowned(plan, names),
        "committed": _committed(plan, names),
        "updates": _updates(plan, names),
        "iterations": plan.rounds,
        "site_order": list(plan.site_order),
    }


class _Names:
    """Names of what a plan numbers."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.snapshot = plan.snapshot

    def blocks(self, rows: Places) -> list[str]:
        names = self.snapshot.blocks.names or ()
        return sorted(names[block] for block in self.plan.rows.block[rows].tolist())

    def place(self, row: int) -> tuple[str, str, str]:
        rows = self.plan.rows
        site = self.snapshot.sites.labels[int(rows.site[row])]
        dataset = self.snapshot.datasets.labels[int(rows.dataset[row])]
        return site, dataset, (self.snapshot.blocks.names or ())[int(rows.block[row])]

    def by_site(
        self, replicas: "np.ndarray[tuple[int], np.dtype[np.int32]]"
    ) -> dict[str, list[str]]:
        found: dict[str, list[str]] = defaultdict(list)
        for replica in replicas.tolist():
            site = self.snapshot.sites.labels[int(self.snapshot.replicas.site[replica])]
            found[site].append(
                self.snapshot.datasets.labels[int(self.snapshot.replicas.dataset[replica])]
            )
        return {site: sorted(names) for site, names in sorted(found.items())}


def _decisions(plan: Plan, names: _Names) -> Answer:
    found: Answer = {}
    for one in plan.each_decision():
        entry = {"line": one.line, "blocks": names.blocks(one.rows), "size": one.size}
        lists = found.setdefault(one.site, {}).setdefault(one.dataset, {})
        lists.setdefault(_LISTS[one.verdict], []).append(entry)
    return found


def _order(plan: Plan, names: _Names, *, tied: bool) -> Answer:
    found: Answer = {}
    for one in sorted(plan.each_deletion(), key=lambda one: _place_in_order(one, tied=tied)):
        entry = {
            "dataset": one.dataset,
            "blocks": names.blocks(one.rows),
            "size": one.size,
            "phase": "evaluate" if one.at_once else "select",
            "iteration": one.round,
        }
        found.setdefault(one.site, []).append(entry)
    return found


def _place_in_order(one: Deletion, *, tied: bool) -> tuple[bool | int | str, ...]:
    """Sort what has no order among itself by name, and leave the rest as it is."""
    if tied:
        return (not one.at_once, one.dataset)
    return (one.round, not one.at_once, one.dataset if one.at_once else "")


def _reowned(plan: Plan, names: _Names) -> Answer:
    found: Answer = {}
    for row, group in zip(
        plan.hand_overs.row.tolist(), plan.hand_overs.group.tolist(), strict=True
    ):
        site, dataset, block = names.place(row)
        found.setdefault(site, {}).setdefault(dataset, {})[block] = plan.snapshot.groups.labels[
            group
        ]
    return found


def _committed(plan: Plan, names: _Names) -> Answer:
    ending = set(plan.ending.tolist())
    found: Answer = {}
    for one in plan.each_deletion():
        datasets = found.setdefault(one.site, {})
        if int(plan.rows.replica[one.rows[0]]) in ending:
            datasets[one.dataset] = None
        else:
            datasets[one.dataset] = sorted(
                [*datasets.get(one.dataset, []), *names.blocks(one.rows)]
            )
    return found


def _updates(plan: Plan, names: _Names) -> Answer:
    groups = plan.snapshot.groups.labels
    changes: dict[int, str | None] = dict.fromkeys(plan.deletions.row.tolist())
    for row, group in zip(
        plan.hand_overs.row.tolist(), plan.hand_overs.group.tolist(), strict=True
    ):
        changes[row] = groups[group]
    places = {row: names.place(row) for row in changes}
    return {
        f"{site} {dataset}#{block}": changes[row]
        for row, (site, dataset, block) in sorted(places.items())
    }
