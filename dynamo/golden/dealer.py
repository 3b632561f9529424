"""Golden cases of kind `dealer`: configurations of the first Dynamo, answered by the Dealer."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dynamo.dealer.engine import decide, merge, proposed
from dynamo.dealer.inventory_view import InventoryView
from dynamo.dealer.placement import Placer
from dynamo.dealer.plan import Plan
from dynamo.dealer.proposals import ANYWHERE, Proposals
from dynamo.dealer.proposer import WeightedProposer, participants
from dynamo.dealer.protections import Protections
from dynamo.dealer.question import Limits, Question
from dynamo.dealer.requests import (
    Action,
    ActionState,
    Request,
    RequestedItem,
    RequestState,
    RequestVerdict,
)
from dynamo.detox.engine import Question as Deletion
from dynamo.detox.engine import decide as detox
from dynamo.detox.plan import Plan as Deleted
from dynamo.detox.plan import Verdict as Decided
from dynamo.errors import Invalid
from dynamo.golden.answers import Answer, error
from dynamo.golden.cases import TB, Case, Json, load
from dynamo.golden.proposers import configured
from dynamo.inventory.snapshot import Snapshot
from dynamo.policy.placement_rules import enforcer_from
from dynamo.policy.reader import Known, read_policy

_WORDS = {Decided.PROTECT: "protect", Decided.DELETE: "delete", Decided.KEEP: "keep"}


def dealer(case: Json) -> Answer:
    """Answer a cycle of the Dealer."""
    try:
        loaded = load(case)
    except Invalid as wrong:
        return error("inventory", wrong)
    try:
        proposers = configured(case["dealer"]["config"]["plugins"])
        last = _last_cycle(loaded, case)
    except Invalid as wrong:
        return error("policy", wrong)
    try:
        asked = _question(loaded, case, last)
        drawing = case["dealer"].get("distribution")
        if drawing:
            return {"status": "ok"} | _distribution(asked, proposers, drawing)
        answer = _decided(decide(asked, proposers), case)
    except Invalid as wrong:
        return error("run", wrong)
    shown = {} if last is None else {"detox_decisions": _decisions(last)}
    return {"status": "ok"} | answer | shown


def planned(loaded: Case, case: Json) -> Plan:
    """Return the plan for a case. Raises Invalid."""
    asked = _question(loaded, case, _last_cycle(loaded, case))
    return decide(asked, configured(case["dealer"]["config"]["plugins"]))


def _question(loaded: Case, case: Json, last: Deleted | None) -> Question:
    config = case["dealer"]["config"]
    return Question(
        snapshot=loaded.snapshot,
        partitions=loaded.partitions,
        partition=config["partition_name"],
        group=config["group_name"],
        moment=loaded.now,
        cycle=int(case["dealer"].get("cycle", 1)),
        target_sites=tuple(config["target_sites"]),
        limits=Limits(
            occupancy=float(config["target_site_occupancy"]),
            pending=float(config["max_site_pending_fraction"]),
            volume=float(config["max_total_cycle_volume"]) * TB,
        ),
        requests=tuple(
            _request(number, one)
            for number, one in enumerate(case["dealer"].get("requests", ()), 1)
        ),
        protections=None if last is None else protections(last),
    )


def _request(number: int, one: Json) -> Request:
    return Request(
        key=number,
        items=tuple(RequestedItem.named(item) for item in one["items"]),
        sites=tuple(one["sites"]),
        copies=int(one.get("n", 1)),
        group=one.get("group"),
        activated=one.get("status") == "activated",
        actions=tuple(
            Action(
                RequestedItem.named(action["item"]), action["site"], ActionState(action["status"])
            )
            for action in one.get("actions", ())
        ),
    )


# --- the deletion pass before


def _last_cycle(loaded: Case, case: Json) -> Deleted | None:
    if not case["dealer"].get("detox_first"):
        return None
    known = Known(partitions=loaded.partitions.by_name)
    policy = read_policy(case["policy"], str(case.get("id", "policy")), known=known).policy
    rules = case["inventory"].get("enforcer")
    enforcers = (enforcer_from(rules),) if rules else ()
    return detox(Deletion(loaded.snapshot, loaded.partitions, policy, loaded.now, enforcers))


def protections(last: Deleted) -> Protections:
    """Return what a deletion pass decided, as the Dealer reads it."""
    snapshot = last.snapshot
    decisions = list(last.each_decision())
    lines = [last.line(one.line).condition for one in decisions]
    texts = ["" if line is None else line.text for line in lines]
    reasons = sorted({text for text in texts if text})
    return Protections(
        dataset=np.array(
            [snapshot.datasets.labels.find(one.dataset) for one in decisions], np.int32
        ),
        site=np.array([snapshot.sites.labels.find(one.site) for one in decisions], np.int32),
        size=np.array([one.size for one in decisions], np.int64),
        protected=np.array([one.verdict is Decided.PROTECT for one in decisions], np.bool_),
        reason=np.array([reasons.index(text) if text else -1 for text in texts], np.int32),
        reasons=tuple(reasons),
    )


def _decisions(last: Deleted) -> Answer:
    found: Answer = {}
    for one in last.each_decision():
        condition = last.line(one.line).condition
        text = None if condition is None else condition.text
        entry = [one.dataset, one.size, _WORDS[one.verdict], one.line, text]
        found.setdefault(one.site, []).append(entry)
    return {site: sorted(entries, key=lambda entry: entry[:4]) for site, entries in found.items()}


# --- the answer


def _decided(plan: Plan, case: Json) -> Answer:
    labels = plan.asked.snapshot.sites.labels
    expected = (case.get("expected") or {}).get("requests_by_plugin") or {}
    return {
        "target_sites": [labels[place] for place in np.flatnonzero(plan.targets).tolist()],
        "requests_by_plugin": {
            name: _listed(plan.asked.snapshot, one, expected.get(name))
            for name, one in plan.proposals.items()
        },
        "copies": _copies(plan),
        "request_status": _statuses(plan),
    }


def _listed(snapshot: Snapshot, proposals: Proposals, expected: Json | None) -> Answer:
    """Write proposals in their order, or sorted where that is a matter of chance."""
    entries = [_proposal(snapshot, proposals, place) for place in range(len(proposals))]
    ordered = proposals.ranked or len(proposals) <= 1
    if expected is not None:
        ordered = "ordered" in expected
    if ordered:
        return {"ordered": entries}
    return {"unordered": sorted(entries, key=lambda entry: json.dumps(entry, sort_keys=True))}


def _proposal(snapshot: Snapshot, proposals: Proposals, place: int) -> Answer:
    site = int(proposals.site[place])
    blocks = None if proposals.whole[place] else proposals.blocks_of(place).tolist()
    return {
        "dataset": snapshot.datasets.labels[int(proposals.dataset[place])],
        "blocks": None if blocks is None else _names(snapshot, blocks),
        "destination": None if site == ANYWHERE else snapshot.sites.labels[site],
    }


def _names(snapshot: Snapshot, blocks: Sequence[int]) -> list[str]:
    names = snapshot.blocks.names or ()
    return sorted(names[block] for block in blocks)


def _copies(plan: Plan) -> list[Answer]:
    return [
        {
            "dataset": copy.dataset,
            "site": copy.site,
            "blocks": _names(plan.asked.snapshot, copy.blocks.tolist()),
            "group": copy.group,
            "growing": copy.growing,
            "size": copy.size,
        }
        for copy in plan.each_copy()
    ]


def _statuses(plan: Plan) -> Answer:
    verdicts = {verdict.key: verdict for verdict in plan.verdicts}
    return {
        str(request.key): _status(verdicts.get(request.key) or _undecided(request))
        for request in plan.asked.requests
    }


def _undecided(request: Request) -> RequestVerdict:
    state = RequestState.ACTIVATED if request.activated else RequestState.NEW
    return RequestVerdict(request.key, state, None, request.actions)


def _status(verdict: RequestVerdict) -> Answer:
    """Write a verdict; what another request brings was no business of this one in the cases."""
    own = [action for action in verdict.actions if not action.shared]
    actions = sorted([str(action.item), action.site, action.state.value] for action in own)
    state = verdict.state if own or not verdict.actions else RequestState.COMPLETED
    return {
        "status": state.value,
        "reason": None if verdict.refusal is None else verdict.refusal.text,
        "actions": actions or None,
    }


# --- draws


@dataclass(frozen=True, slots=True)
class _Draws:
    """One cycle drawn over and over."""

    view: InventoryView
    proposers: dict[str, WeightedProposer]
    proposals: dict[str, Proposals]

    def plugin(self, rng: np.random.Generator) -> str | None:
        """Return who speaks first."""
        first = merge(self.view, self.proposals, self.proposers, rng).proposer[:1].tolist()
        return list(self.proposals)[first[0]] if first else None

    def destination(self, rng: np.random.Generator) -> str | None:
        """Return where the first copy goes; who proposes may have chosen that already."""
        again = proposed(self.view, self.proposers, [rng] * len(self.proposers))
        merged = merge(self.view, again, self.proposers, rng)
        placed = Placer(self.view, merged, rng).run()
        if not placed.accepted:
            return None
        return self.view.snapshot.sites.labels[int(placed.site[placed.accepted[0]])]


def _distribution(asked: Question, proposers: dict[str, WeightedProposer], drawing: Json) -> Answer:
    view, count = InventoryView(asked), int(drawing["draws"])
    taking_part = participants(proposers)
    chances = np.random.default_rng(asked.cycle).spawn(len(taking_part))
    draws = _Draws(view, taking_part, proposed(view, taking_part, chances))
    draw = draws.plugin if drawing["what"] == "plugin" else draws.destination
    rng = np.random.default_rng(asked.cycle)
    found = Counter(name for _ in range(count) if (name := draw(rng)) is not None)
    labels = view.snapshot.sites.labels
    return {
        "counts": dict(sorted(found.items())),
        "draws": count,
        "targets": [labels[place] for place in np.flatnonzero(view.targets).tolist()],
    }
