"""Placement rules: how many copies datasets must have where, and which copies that protects."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dynamo.errors import Invalid
from dynamo.inventory.snapshot import Flags
from dynamo.policy.conditions import any_on_sites, compiled
from dynamo.policy.image import Image, Standing, View
from dynamo.policy.partitions import Partitions
from dynamo.policy.problems import Problem, Spot, refusal
from dynamo.policy.reading import check_condition
from dynamo.policy.tree import Condition
from dynamo.policy.variables import Scope

_LISTS = {"replicas": Scope.REPLICA, "destinations": Scope.SITE, "sources": Scope.SITE}


@dataclass(frozen=True, slots=True)
class PlacementRule:
    """Datasets with a fitting replica at a source shall have so many at the destinations."""

    name: str
    replicas: tuple[Condition, ...]
    destinations: tuple[Condition, ...]
    sources: tuple[Condition, ...]
    num_copies: int
    group: str
    protect: bool
    spread: bool = False
    """Share the blocks out over the destinations instead of copying the dataset as a whole."""


@dataclass(frozen=True, slots=True)
class Enforcer:
    """All placement rules of a partition."""

    partition: str
    rules: tuple[PlacementRule, ...]


def read_enforcer(text: str, source: str = "enforcer") -> Enforcer:
    """Read placement rules from JSON. Raises Invalid with all errors."""
    try:
        body = json.loads(text)
    except json.JSONDecodeError as error:
        raise Invalid(f"{source}:{error.lineno}:{error.colno}: {error.msg}") from None
    return enforcer_from(body, source)


def enforcer_from(body: object, source: str = "enforcer") -> Enforcer:
    """Check placement rules. Raises Invalid with all errors."""
    if not isinstance(body, Mapping) or not isinstance(body.get("rules"), Mapping):
        raise Invalid(f'{source}: expected {{"partition": ..., "rules": {{name: rule}}}}')
    problems: list[Problem] = []
    default = str(body.get("default_destination_group", ""))
    rules = tuple(_rule(str(name), rule, default, problems) for name, rule in body["rules"].items())
    if not isinstance(body.get("partition"), str):
        problems.append(Problem(Spot(0, 0), "expected the name of a partition under partition"))
    if any(not problem.warning for problem in problems):
        raise refusal(problems, source)
    return Enforcer(str(body["partition"]), rules)


def _rule(name: str, rule: object, group: str, problems: list[Problem]) -> PlacementRule:
    body = rule if isinstance(rule, Mapping) else {}
    lists = {key: _conditions(name, key, body.get(key, []), problems) for key in _LISTS}
    copies = body.get("num_copies")
    if not isinstance(copies, int) or isinstance(copies, bool) or copies < 1:
        problems.append(
            Problem(
                Spot(0, 0),
                f"rule {name}: expected a number of copies, at least 1, under num_copies",
            )
        )
        copies = 1
    owner = str(body.get("destination_group") or group)
    return PlacementRule(
        name,
        replicas=lists["replicas"],
        destinations=lists["destinations"],
        sources=lists["sources"],
        num_copies=copies,
        group=owner,
        protect=body.get("protect") is True,
        spread=body.get("spread") is True,
    )


def _conditions(
    name: str, key: str, texts: object, problems: list[Problem]
) -> tuple[Condition, ...]:
    if not isinstance(texts, Sequence) or isinstance(texts, str):
        problems.append(
            Problem(Spot(0, 0), f"rule {name}: expected a list of conditions under {key}")
        )
        return ()
    checked = []
    for text in map(str, texts):
        condition, found = check_condition(text, _LISTS[key], Spot(1, 1), text)
        problems += found
        if condition is not None:
            checked.append(condition)
    return tuple(checked)


def enforced(image: Image, enforcer: Enforcer, partitions: Partitions, now: float) -> Flags:
    """Tell which dataset replicas a rule needs: where no more fit it than it wants copies."""
    view = View.of(image)
    rows = partitions.members(enforcer.partition, now).rows(view)
    held = view.any(rows)
    standing = _standing(image, enforcer, partitions, rows)
    needed = np.zeros(image.n_replicas, np.bool_)
    for rule in enforcer.rules:
        if rule.protect:
            fitting = (
                held
                & any_on_sites([compiled(one, now) for one in rule.destinations], standing)[
                    image.site
                ]
            )
            fitting &= _any_on_replicas(rule.replicas, view, now)
            copies = np.bincount(image.dataset[fitting], minlength=len(image.snapshot.datasets.ids))
            needed |= fitting & (copies <= rule.num_copies)[image.dataset]
    return needed


def _standing(image: Image, enforcer: Enforcer, partitions: Partitions, rows: Flags) -> Standing:
    used = np.zeros(len(image.snapshot.sites.labels), np.int64)
    np.add.at(used, image.site[image.replica[rows]], image.size[rows])
    places = np.arange(len(used), dtype=np.int32)
    return Standing(
        image.snapshot.sites, places, partitions.quota(image.snapshot, enforcer.partition), used
    )


def _any_on_replicas(conditions: Sequence[Condition], view: View, now: float) -> Flags:
    found = np.zeros(len(view.replicas), np.bool_)
    for condition in conditions:
        found |= compiled(condition, now).on_replicas(view)
    return found
