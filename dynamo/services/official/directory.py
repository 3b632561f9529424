"""What the names of sites and groups in a call stand for, and whose data lie in which partition."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select

from dynamo.db import official
from dynamo.db.tables import Group, Partition, Site
from dynamo.db.work import Work
from dynamo.errors import Fault, NotFound
from dynamo.inventory import asked
from dynamo.settings import Settings

GROUP = "production"
"""Who owns official data, unless the call says otherwise."""
_SHARES = {"analysis": "Analysis", "production": "Production"}
"""The partition in which a group's data lie; all others' lie where production's do."""


@dataclass(frozen=True, slots=True)
class Directory:
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
        """Return the partition in which a group's replicas of a dataset lie."""
        if dataset.endswith("/USER"):
            return self.partitions[self.users]
        named = {self.groups[name]: share for name, share in _SHARES.items() if name in self.groups}
        return self.partitions[named.get(group_id or 0, _SHARES[GROUP])]


def directory(work: Work, settings: Settings, wanted: Sequence[asked.OfficialDataset]) -> Directory:
    """Look up all that a call names. Raises NotFound."""
    found = Directory(
        {row.name: row.id for row in work.rows(select(Site.name, Site.id))},
        {row.name: row.id for row in work.rows(select(Group.name, Group.id))},
        {row.name: row.id for row in work.rows(select(Partition.name, Partition.id))},
        settings.user.partition,
    )
    sites = [
        Fault(pointer, f"there is no site {at.site!r}")
        for pointer, at in _places(wanted)
        if at.site not in found.sites
    ]
    if sites:
        raise NotFound("some sites are unknown", "site-unknown", faults=sites)
    groups = [
        Fault(pointer, f"there is no group {one.group!r}")
        for pointer, one in [*_places(wanted), *((f"/{n}", one) for n, one in enumerate(wanted))]
        if one.group is not None and one.group not in found.groups
    ]
    if groups:
        raise NotFound("some groups are unknown", faults=groups)
    official.hold_sites(work, {found.sites[at.site] for _, at in _places(wanted)})
    return found


def _places(
    wanted: Sequence[asked.OfficialDataset],
) -> Iterable[tuple[str, asked.OfficialReplica | asked.OfficialAt]]:
    for n, dataset in enumerate(wanted):
        for m, at in enumerate(dataset.replicas):
            yield f"/{n}/replicas/{m}", at
        for m, block in enumerate(dataset.blocks):
            for k, replica in enumerate(block.replicas):
                yield f"/{n}/blocks/{m}/replicas/{k}", replica
