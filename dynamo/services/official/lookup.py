"""Looks up the sites and groups of a call, and assigns data to partitions."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy import select

from dynamo.db.catalogue import bulk_registration
from dynamo.db.engine.unit_of_work import Work
from dynamo.db.snapshots import loader as snapshot_loader
from dynamo.db.tables import Group, Partition, Site
from dynamo.errors import Fault, NotFound
from dynamo.inventory import schemas
from dynamo.inventory.snapshot_builder import Keys
from dynamo.policy.partitions import read_partitions
from dynamo.policy.placement_partition import NOWHERE, Imagined
from dynamo.policy.placement_partition import destinations as policy_homes
from dynamo.reasons import Reason
from dynamo.settings import Settings

GROUP = "production"
"""The group that owns official data by default."""
_SHARES = {"analysis": "Analysis", "production": "Production"}
"""Partition of a group's data that match no partition's condition; default: production's."""


@dataclass(frozen=True, slots=True)
class NameLookup:
    """The keys of sites, groups and partitions."""

    sites: Mapping[str, int]
    groups: Mapping[str, int]
    partitions: Mapping[str, int]
    users: str
    """The partition of user data."""

    def group(self, name: str | None) -> int | None:
        """Return a group's key."""
        return None if name is None else self.groups[name]

    def partition(self, dataset: str, group_id: int | None) -> int:
        """Return the usual partition of a group's data."""
        if dataset.endswith("/USER"):
            return self.partitions[self.users]
        named = {self.groups[name]: share for name, share in _SHARES.items() if name in self.groups}
        return self.partitions[named.get(group_id or 0, _SHARES[GROUP])]


Whose = tuple[str, int, int | None]
"""A dataset's name, and the keys of its site and of the group that owns it there."""


def destinations(work: Work, known: NameLookup, statuses: Mapping[Whose, str]) -> dict[Whose, int]:
    """Return the partition of each key; the values are the statuses of the datasets.

    It is the first partition whose condition holds, else the group's usual one, as on tape.
    """
    wanted = sorted(statuses, key=str)
    datasets = sorted({(name, statuses[name, site, group]) for name, site, group in wanted})
    snapshot = snapshot_loader.frame(work, datasets)
    group_at, site_at = Keys.of(snapshot.groups.ids), Keys.of(snapshot.sites.ids)
    imagined = Imagined(
        np.array([snapshot.datasets.labels.find(name) for name, _, _ in wanted], np.int32),
        site_at([site for _, site, _ in wanted]),
        group_at([group or 0 for _, _, group in wanted]),
    )
    partition_of = policy_homes(
        snapshot, read_partitions(snapshot.partitions), imagined, work.now.timestamp()
    ).tolist()
    return {
        key: known.partition(key[0], key[2])
        if place == NOWHERE
        else known.partitions[snapshot.partitions[place].name]
        for key, place in zip(wanted, partition_of, strict=True)
    }


def directory(
    work: Work, settings: Settings, wanted: Sequence[schemas.OfficialDataset]
) -> NameLookup:
    """Return the keys of all names in a call. Raises NotFound."""
    lookup = NameLookup(
        dict(work.rows(select(Site.name, Site.id))),
        dict(work.rows(select(Group.name, Group.id))),
        dict(work.rows(select(Partition.name, Partition.id))),
        settings.user.partition,
    )
    sites = [
        Fault(pointer, f"there is no site {at.site!r}")
        for pointer, at in _places(wanted)
        if at.site not in lookup.sites
    ]
    if sites:
        raise NotFound("some sites are unknown", Reason.SITE_UNKNOWN, faults=sites)
    groups = [
        Fault(pointer, f"there is no group {entry.group!r}")
        for pointer, entry in [
            *_places(wanted),
            *((f"/{n}", entry) for n, entry in enumerate(wanted)),
        ]
        if entry.group is not None and entry.group not in lookup.groups
    ]
    if groups:
        raise NotFound("some groups are unknown", faults=groups)
    bulk_registration.hold_sites(work, {lookup.sites[at.site] for _, at in _places(wanted)})
    return lookup


def _places(
    wanted: Sequence[schemas.OfficialDataset],
) -> Iterable[tuple[str, schemas.OfficialReplica | schemas.OfficialAt]]:
    for n, dataset in enumerate(wanted):
        for m, at in enumerate(dataset.replicas):
            yield f"/{n}/replicas/{m}", at
        for m, block in enumerate(dataset.blocks):
            for k, replica in enumerate(block.replicas):
                yield f"/{n}/blocks/{m}/replicas/{k}", replica
