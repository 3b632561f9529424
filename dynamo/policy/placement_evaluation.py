"""What placement rules demand of an inventory, and which replicas they protect."""

from collections.abc import Iterable, Sequence

import numpy as np

from dynamo.inventory.snapshot import MORGUE, Flags, Snapshot
from dynamo.policy.conditions import any_on_sites, compiled
from dynamo.policy.diagnostics import Problem
from dynamo.policy.image import Image, Standing, View
from dynamo.policy.locking import locked
from dynamo.policy.partitions import Partitions
from dynamo.policy.placement_rules import Enforcer, PlacementRule, RulesReading
from dynamo.policy.syntax import Condition


def unmet(
    reading: RulesReading, snapshot: Snapshot, partitions: Partitions, now: float
) -> list[Problem]:
    """Warn of what was odd when rules were read, and of what nothing here can meet by now.

    Both may come: sites that fit, and datasets. Of these nothing is said where none was looked at.
    Raises Invalid.
    """
    found = [*reading.warnings]
    image = Image.whole(snapshot)
    image.locked = locked(image, snapshot.locks)
    view = View.of(image)
    rows = partitions.members(reading.enforcer.partition, now).rows(view)
    standing = _standing(image, reading.enforcer, partitions, rows)
    held = view.any(rows)
    for rule in reading.enforcer.rules:
        if not (rule.replicas and rule.destinations and rule.sources):
            continue  # the reader has said so
        to, at = (
            any_on_sites([compiled(one, now) for one in conditions], standing)
            for conditions in (rule.destinations, rule.sources)
        )
        partition = reading.enforcer.partition
        said = [_too_few(rule, to, standing, partition)]
        if not at.any():
            said.append("no site fits its sources")
        elif (
            image.n_replicas
            and not (held & at[image.site] & _any_on_replicas(rule.replicas, view, now)).any()
        ):
            said.append(f"no replica of a dataset in {partition} at its sources fits its replicas")
        found += [
            Problem(rule.spot, f"rule {rule.name}: {one}", rule.text, warning=True)
            for one in said
            if one is not None
        ]
    return found


def _too_few(rule: PlacementRule, to: Flags, standing: Standing, partition: str) -> str | None:
    taking = to & (standing.quota > 0) & (standing.sites.status != MORGUE)
    n, others = int(taking.sum()), int((to & ~taking).sum())
    if n >= rule.num_copies:
        return None
    beside = f"{others} in the morgue or without a quota of {partition}"
    if not n:
        return "no site fits its destinations" + (f" (but {beside})" if others else "")
    few = f"too few sites fit its destinations: {n} for {rule.num_copies} copies"
    return few + (f" (and {beside})" if others else "")


def needed(
    image: Image, enforcers: Iterable[Enforcer], partitions: Partitions, now: float
) -> Flags:
    """Tell which dataset replicas any rule of any partition needs."""
    found = np.zeros(image.n_replicas, np.bool_)
    for enforcer in enforcers:
        found |= enforced(image, enforcer, partitions, now)
    return found


def enforced(image: Image, enforcer: Enforcer, partitions: Partitions, now: float) -> Flags:
    """Tell which dataset replicas a rule needs: where no more fit it than it wants copies."""
    view = View.of(image)
    rows = partitions.members(enforcer.partition, now).rows(view)
    held = view.any(rows)
    standing = _standing(image, enforcer, partitions, rows)
    protected = np.zeros(image.n_replicas, np.bool_)
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
            protected |= fitting & (copies <= rule.num_copies)[image.dataset]
    return protected


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
