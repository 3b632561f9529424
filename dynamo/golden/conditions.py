"""Golden cases of kind `conditions` and `times`: the words of the policy language."""

import numpy as np

from dynamo.errors import Invalid
from dynamo.golden.answers import Answer, error
from dynamo.golden.cases import Json, load
from dynamo.inventory.snapshot import Flags
from dynamo.policy.conditions import compiled
from dynamo.policy.image import Image, View
from dynamo.policy.locking import locked
from dynamo.policy.placement_evaluation import enforced
from dynamo.policy.placement_rules import enforcer_from
from dynamo.policy.reader import read_condition
from dynamo.policy.time_parser import read_time
from dynamo.policy.times import TimeError
from dynamo.policy.variables import Scope


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
