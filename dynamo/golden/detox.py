"""What our engines answer to golden cases, as JSON (`python -m dynamo.cli.replay`)."""

import json
import sys
import traceback
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dynamo.detox.engine import Question, decide
from dynamo.detox.limits import Limits
from dynamo.detox.plan import Deletion, Plan, Verdict
from dynamo.errors import Invalid
from dynamo.golden.cases import Case, Json, load
from dynamo.golden.dealer import dealer
from dynamo.inventory.snapshot import Flags, Snapshot
from dynamo.policy.conditions import compiled
from dynamo.policy.image import Image, Places, View
from dynamo.policy.locking import locked
from dynamo.policy.placement_rules import enforced, enforcer_from
from dynamo.policy.reader import Known, read_condition, read_policy
from dynamo.policy.time_parser import read_time
from dynamo.policy.times import TimeError
from dynamo.policy.variables import Scope

Answer = dict[str, Any]
_LISTS = {Verdict.PROTECT: "protect", Verdict.DELETE: "delete", Verdict.KEEP: "keep"}
_TB = 10**12


def error(stage: str, wrong: Exception) -> Answer:
    """Return the answer to a case that has no working meaning."""
    return {
        "status": "error",
        "stage": stage,
        "error_type": type(wrong).__name__,
        "error": str(wrong),
    }


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
        state.site: _quota(case["inventory"], state.site, plan.policy.partition)
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


def _quota(inventory: Json, site: str, partition: str) -> float | None:
    """Return a quota as the case writes it; unions have the sum of those of their parts."""
    given = next(one["quotas_tb"] for one in inventory["sites"] if one["name"] == site)
    definition = next(
        one["definition"] for one in inventory["partitions"] if one["name"] == partition
    ).strip()
    if not definition.startswith("["):
        quota = given.get(partition, 0)
        return None if quota is None else float(quota * _TB)
    parts = [_quota(inventory, site, part.strip()) for part in definition[1:-1].split(",")]
    known = [quota for quota in parts if quota is not None]
    return sum(known) if known else None


def partition_content(loaded: Case) -> Answer:
    """Return for each site and partition the datasets in it; null means all that is there."""
    found: Answer = {}
    snapshot = loaded.snapshot
    view = View.of(Image.whole(snapshot))
    for name in loaded.partitions.by_name:
        held = loaded.partitions.members(name, loaded.now).rows(view)
        whole = view.count(held) == view.remaining
        for replica in np.flatnonzero(view.any(held)).tolist():
            site = snapshot.sites.labels[int(snapshot.replicas.site[replica])]
            dataset = snapshot.datasets.labels[int(snapshot.replicas.dataset[replica])]
            blocks = (
                None
                if whole[replica]
                else _block_names(snapshot, view.rows[held & (view.place == replica)])
            )
            found.setdefault(site, {}).setdefault(name, {})[dataset] = blocks
    return found


def _block_names(snapshot: Snapshot, rows: Places) -> list[str]:
    names = snapshot.blocks.names or ()
    return sorted(names[block] for block in snapshot.block_replicas.block[rows].tolist())


def partitions(case: Json) -> Answer:
    """Answer which blocks belong to which partition, and how full partitions are."""
    try:
        loaded = load(case)
    except Invalid as wrong:
        return error("inventory", wrong)
    snapshot = loaded.snapshot
    rows = snapshot.block_replicas
    filled: Answer = {site: {} for site in snapshot.sites.labels}
    for name in loaded.partitions.by_name:
        held = loaded.partitions.members(name, loaded.now).of_snapshot(snapshot)
        site = snapshot.replicas.site[rows.replica[held]]
        used, projected = np.zeros((2, len(snapshot.sites.labels)), np.int64)
        np.add.at(used, site, rows.size[held])
        np.add.at(projected, site, snapshot.blocks.size[rows.block[held]])
        for place, label in enumerate(snapshot.sites.labels):
            quota = _quota(case["inventory"], label, name)
            filled[label][name] = {
                "quota": quota,
                "used": int(used[place]),
                "projected": int(projected[place]),
            }
    return {
        "status": "ok",
        "partition_content": partition_content(loaded),
        "site_partitions": filled,
    }


def conditions(case: Json) -> Answer:
    """Answer for which replicas and blocks conditions hold."""
    try:
        loaded = load(case)
        image = Image.whole(loaded.snapshot)
        image.locked = locked(image, loaded.snapshot.locks)
        if rules := case["inventory"].get("enforcer"):
            image.enforced = enforced(image, enforcer_from(rules), loaded.partitions, loaded.now)
    except Invalid as wrong:
        return error("inventory", wrong)
    view = View.of(image)
    everything = np.ones(len(view.rows), np.bool_), np.ones(len(view.replicas), np.bool_)
    return {
        "status": "ok",
        "true_for": {text: _true_for(text, view, loaded.now) for text in case["conditions"]},
        "all_blocks": _named_rows(view, everything[0]),
        "all_replicas": _named_replicas(view, everything[1]),
    }


def _true_for(text: str, view: View, now: float) -> Answer:
    try:
        holds = compiled(read_condition(text, Scope.REPLICA), now)
    except (Invalid, TimeError) as wrong:
        return {"error": str(wrong)}
    return {
        "replicas": _named_replicas(view, holds.on_replicas(view)),
        "blocks": _named_rows(view, holds.on_rows(view)),
    }


def _named_replicas(view: View, chosen: Flags) -> list[str]:
    snapshot = view.image.snapshot
    site, dataset = view.site[chosen].tolist(), view.dataset[chosen].tolist()
    pairs = zip(site, dataset, strict=True)
    return sorted(
        f"{snapshot.sites.labels[one]} {snapshot.datasets.labels[other]}" for one, other in pairs
    )


def _named_rows(view: View, chosen: Flags) -> list[str]:
    snapshot = view.image.snapshot
    names = snapshot.blocks.names or ()
    place = view.place[chosen]
    triples = zip(
        view.site[place].tolist(),
        view.dataset[place].tolist(),
        view.image.block[view.rows[chosen]].tolist(),
        strict=True,
    )
    return sorted(
        f"{snapshot.sites.labels[site]} {snapshot.datasets.labels[dataset]}#{names[block]}"
        for site, dataset, block in triples
    )


def times(case: Json) -> Answer:
    """Answer what points in time mean."""
    return {
        "status": "ok",
        "epoch": {text: _epoch(text, float(case["now"])) for text in case["times"]},
    }


def _epoch(text: str, now: float) -> float | dict[str, str]:
    try:
        moment = read_time(text).at(now)
    except TimeError:
        return {"error": "InvalidExpression"}
    return int(moment) if moment == int(moment) else moment


KINDS: Mapping[str, Callable[[Json], Answer]] = {
    "detox": detox,
    "partitions": partitions,
    "conditions": conditions,
    "times": times,
    "dealer": dealer,
}
"""What answers which kind of case."""


def answer(case: Json) -> Answer:
    """Answer a case, with the fields that its expectation has, if it comes with one."""
    kind = str(case.get("kind"))
    if kind not in KINDS:
        return error("kind", Invalid(f"cases of kind {kind} are not answered here"))
    given = KINDS[kind](case)
    expected = case.get("expected") or next(iter(case.get("expected_any_of") or ()), None)
    return given if expected is None else _shaped(given, expected)


def _shaped(given: Answer, expected: Json) -> Answer:
    """Leave out what the case says nothing about: it differed between runs of the first Dynamo."""
    if given["status"] != expected["status"]:
        return given
    shaped = {key: value for key, value in given.items() if key in expected}
    wanted = expected.get("deletion_order") or {}
    counted = any("iteration" in entry for entries in wanted.values() for entry in entries)
    if "deletion_order" in shaped and not counted:
        for entries in shaped["deletion_order"].values():
            for entry in entries:
                del entry["iteration"]
    return shaped


def _answered(path: str) -> Answer:
    """Answer the case of a file; one that is no case must not cost the answers to the others."""
    try:
        case = json.loads(Path(path).read_text("utf-8"))
        if not isinstance(case, dict):
            return error("case", Invalid("expected a JSON object"))
        return answer(case)
    except Exception as wrong:  # noqa: BLE001 - whatever it is, it is told on stderr
        traceback.print_exc()
        return error("case", wrong)


def main(paths: Sequence[str]) -> int:
    """Print the answer to one case, or a list for several."""
    if not paths:
        sys.stderr.write("usage: python -m dynamo.cli.replay CASE.json…\n")
        return 2
    answers = [_answered(path) for path in paths]
    sys.stdout.write(
        json.dumps(answers[0] if len(answers) == 1 else answers, indent=1, sort_keys=True) + "\n"
    )
    return 0
