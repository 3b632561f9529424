"""What the names of sites and groups in a call stand for, and whose data lie in which partition."""

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
"""Who owns official data, unless the call says otherwise."""
_SHARES = {"analysis": "Analysis", "production": "Production"}
"""Where a group's data count that no partition's condition holds; all others' as production's."""


@dataclass(frozen=True, slots=True)
class NameLookup:
    """The keys of sites and groups, and who lies in which partition."""

    sites: Mapping[str, int]
    groups: Mapping[str, int]
    partitions: Mapping[str, int]
    users: str
    """The partition of user data."""

    def group(self, name: str | None) -> int | None:
        """Return a group's key."""
        return None if name is None else self.groups[name]

    def partition(self, dataset: str, group_id: int | None) -> int:
        """Return the partition in which a group's data usually count."""
        if dataset.endswith("/USER"):
            return self.partitions[self.users]
        named = {self.groups[name]: share for name, share in _SHARES.items() if name in self.groups}
        return self.partitions[named.get(group_id or 0, _SHARES[GROUP])]


Whose = tuple[str, int, int | None]
"""A dataset's name, and the keys of the site where it lies and of the group that owns it there."""


def destinations(work: Work, known: NameLookup, some: Mapping[Whose, str]) -> dict[Whose, int]:
    """Return the partition to which each belongs; the values are the statuses of the datasets.

    It is the first whose condition holds. Where none does, as on tape, it is the group's usual one.
    """
    wanted = sorted(some, key=str)
    datasets = sorted({(name, some[name, site, group]) for name, site, group in wanted})
    seen = snapshot_loader.frame(work, datasets)
    group_at, site_at = Keys.of(seen.groups.ids), Keys.of(seen.sites.ids)
    imagined = Imagined(
        np.array([seen.datasets.labels.find(name) for name, _, _ in wanted], np.int32),
        site_at([site for _, site, _ in wanted]),
        group_at([group or 0 for _, _, group in wanted]),
    )
    found = policy_homes(
        seen, read_partitions(seen.partitions), imagined, work.now.timestamp()
    ).tolist()
    return {
        one: known.partition(one[0], one[2])
        if place == NOWHERE
        else known.partitions[seen.partitions[place].name]
        for one, place in zip(wanted, found, strict=True)
    }


def directory(
    work: Work, settings: Settings, wanted: Sequence[schemas.OfficialDataset]
) -> NameLookup:
    """Look up all that a call names. Raises NotFound."""
    found = NameLookup(
        dict(work.rows(select(Site.name, Site.id))),
        dict(work.rows(select(Group.name, Group.id))),
        dict(work.rows(select(Partition.name, Partition.id))),
        settings.user.partition,
    )
    sites = [
        Fault(pointer, f"there is no site {at.site!r}")
        for pointer, at in _places(wanted)
        if at.site not in found.sites
    ]
    if sites:
        raise NotFound("some sites are unknown", Reason.SITE_UNKNOWN, faults=sites)
    groups = [
        Fault(pointer, f"there is no group {one.group!r}")
        for pointer, one in [*_places(wanted), *((f"/{n}", one) for n, one in enumerate(wanted))]
        if one.group is not None and one.group not in found.groups
    ]
    if groups:
        raise NotFound("some groups are unknown", faults=groups)
    bulk_registration.hold_sites(work, {found.sites[at.site] for _, at in _places(wanted)})
    return found


def _places(
    wanted: Sequence[schemas.OfficialDataset],
) -> Iterable[tuple[str, schemas.OfficialReplica | schemas.OfficialAt]]:
    for n, dataset in enumerate(wanted):
        for m, at in enumerate(dataset.replicas):
            yield f"/{n}/replicas/{m}", at
        for m, block in enumerate(dataset.blocks):
            for k, replica in enumerate(block.replicas):
                yield f"/{n}/blocks/{m}/replicas/{k}", replica
