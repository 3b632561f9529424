"""Choosing a site for new data.

The first of those named that can take them, or a refusal that names others.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import Nullable, bindparam, or_, select

from dynamo.db.engine.unit_of_work import Work
from dynamo.db.sites import switches
from dynamo.db.tables import Partition, Quota, Site
from dynamo.db.tables.types import Json
from dynamo.errors import Conflict, DynamoError, Full, NotFound
from dynamo.inventory.states import SiteKind, SiteStatus
from dynamo.reasons import Reason

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Candidate:
    """A site that new data may go to."""

    id: int
    name: str
    url: str
    rules: dict[str, object]
    scratch: tuple[str, ...]
    sources: tuple[str, ...]


def choose(
    work: Work,
    named: Sequence[str],
    partition_id: int,
    size: int,
    alarming: frozenset[str] = frozenset(),
) -> Candidate:
    """Return the first of the named sites that takes this many more bytes of a partition.

    Those that are `alarming` hold so many unique bytes that they take none.

    Raises NotFound for an unknown site, and for the first one why it can't, with alternatives.
    """
    wanted = {"of_partition": partition_id, "by_name": list(named)}
    known = {row.name: row for row in work.read(_Named, _NAMED, wanted)}
    for name in named:
        if name not in known:
            raise NotFound(f"there is no site {name!r}; see GET /v1/sites", Reason.SITE_UNKNOWN)
    idle = set(switches.stopped_sites(work))
    refusals = {name: _refusal(known[name], idle, size) or _alarm(name, alarming) for name in named}
    for name in named:
        if refusals[name] is None:
            return known[name].candidate
    first = refusals[named[0]]
    assert first is not None  # noqa: S101 - every named site was refused
    first.alternatives = _alternatives(work, partition_id, size, idle | alarming)
    raise first


def candidate_at(work: Work, site_id: int) -> Candidate:
    """Return one site by key."""
    columns = (Site.id, Site.name, Site.url, Site.rules, Site.scratch, Site.sources)
    key, name, url, rules, scratch, sources = work.only(select(*columns).where(Site.id == site_id))
    return Candidate(key, name, url, rules, tuple(scratch), tuple(sources))


class _Named(NamedTuple):
    id: int
    name: str
    kind: str
    status: str
    url: str
    rules: Json
    scratch: list[str]
    sources: list[str]
    quota: int | None
    """None where the partition takes no part."""
    max_bytes: int | None
    projected: int | None
    partition: str

    @property
    def candidate(self) -> Candidate:
        """Return the site as a place for data."""
        scratch, sources = tuple(self.scratch), tuple(self.sources)
        return Candidate(self.id, self.name, self.url, self.rules, scratch, sources)


_SITES = select(
    Site.id,
    Site.name,
    Site.kind,
    Site.status,
    Site.url,
    Site.rules,
    Site.scratch,
    Site.sources,
    Nullable(Quota.site_id.label("quota")),
    Quota.max_bytes,
    Nullable(Quota.projected),
    Partition.name.label("partition"),
).select_from(
    Site.__table__.join(Partition.__table__, Partition.id == bindparam("of_partition")).outerjoin(
        Quota.__table__, (Quota.site_id == Site.id) & (Quota.partition_id == Partition.id)
    )
)
_NAMED = _SITES.where(Site.name.in_(bindparam("by_name", expanding=True)))


def _refusal(row: _Named, idle: set[str], size: int) -> DynamoError | None:
    if row.status != SiteStatus.READY or row.kind != SiteKind.DISK:
        return Conflict(
            f"{row.name} takes no new data now (it is {row.status}, {row.kind})",
            Reason.SITE_NOT_READY,
        )
    if row.name in idle:
        return Conflict(f"{row.name} was stopped by an operator", Reason.SWITCHED_OFF)
    if row.quota is None:
        return Conflict(
            f"{row.name} has no quota for the partition {row.partition}", Reason.NO_QUOTA
        )
    if row.max_bytes is not None and (row.projected or 0) + size > row.max_bytes:
        return Full(
            f"the partition {row.partition} of {row.name} is full: "
            f"booked {row.projected}, asked {size}, limit {row.max_bytes} bytes",
            Reason.STORAGE_FULL,
        )
    return None


def _alarm(name: str, alarming: frozenset[str]) -> DynamoError | None:
    if name not in alarming:
        return None
    return Full(f"unique data fill {name}, or all sites, beyond the alarm", Reason.STORAGE_FULL)


def _alternatives(work: Work, partition_id: int, size: int, idle: set[str]) -> list[str]:
    fits = or_(Quota.max_bytes.is_(None), Quota.projected + size <= Quota.max_bytes)
    ready = (
        Site.status == SiteStatus.READY,
        Site.kind == SiteKind.DISK,
        Quota.site_id.is_not(None),
        fits,
    )
    found = _SITES.where(*ready, Site.name.not_in(idle)).order_by(Quota.projected).limit(_SHOWN)
    return [row.name for row in work.read(_Named, found, {"of_partition": partition_id})]
