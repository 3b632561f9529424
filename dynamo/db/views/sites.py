"""Sites, partitions and quotas for callers."""

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import case, func, select

from dynamo.db.engine.expressions import total
from dynamo.db.engine.pagination import Listing, fits
from dynamo.db.engine.unit_of_work import Work
from dynamo.db.tables import BlockReplica, Partition, Quota, Site, User
from dynamo.db.tables.types import Json
from dynamo.inventory.globs import Glob
from dynamo.inventory.states import ReplicaState


class SiteRow(NamedTuple):
    """A site."""

    id: int
    name: str
    kind: str
    status: str
    url: str
    rules: Json
    scratch: list[str]
    sources: list[str]
    created: datetime
    since: datetime | None
    set_by: str | None
    max_streams: int | None
    max_link_streams: int | None


class PartitionRow(NamedTuple):
    """A partition."""

    id: int
    name: str
    definition: str
    allow_last_copy: bool


class QuotaRow(NamedTuple):
    """How much of a site a partition may fill, and how much it does."""

    site_id: int
    partition_id: int
    site: str
    partition: str
    max_bytes: int | None
    used: int
    projected: int


class UserRow(NamedTuple):
    """A user, and how much data are the user's."""

    name: str
    max_bytes: int | None
    used: int
    n_files: int
    created: datetime


SITES = select(
    Site.id,
    Site.name,
    Site.kind,
    Site.status,
    Site.url,
    Site.rules,
    Site.scratch,
    Site.sources,
    Site.created,
    Site.since,
    Site.set_by,
    Site.max_streams,
    Site.max_link_streams,
)
_USERS = select(User.name, User.max_bytes, User.used, User.n_files, User.created)


def get(work: Work, name: str) -> SiteRow | None:
    """Return a site or None."""
    return work.read_one(SiteRow, SITES.where(Site.name == name))


def listing(work: Work, name: Glob | None) -> Listing[SiteRow]:
    """List sites by name."""
    chosen = select(Site.id)
    if name is not None:
        chosen = chosen.where(fits(work, Site.name, name))
    return Listing.of(SiteRow, SITES, chosen, Site.id, [Site.name])


def partitions(work: Work) -> list[PartitionRow]:
    """Return all partitions by name."""
    columns = (Partition.id, Partition.name, Partition.definition, Partition.allow_last_copy)
    return work.read(PartitionRow, select(*columns).order_by(Partition.name))


def quotas(work: Work, site_ids: Collection[int] | None = None) -> list[QuotaRow]:
    """Return the quotas of sites (None = of all), by partition and site."""
    statement = (
        select(
            Quota.site_id,
            Quota.partition_id,
            Site.name.label("site"),
            Partition.name.label("partition"),
            Quota.max_bytes,
            Quota.used,
            Quota.projected,
        )
        .join(Site, Site.id == Quota.site_id)
        .join(Partition, Partition.id == Quota.partition_id)
    )
    if site_ids is not None:
        statement = statement.where(Quota.site_id.in_(site_ids))
    return work.read(QuotaRow, statement.order_by(Partition.name, Site.name))


def unique_bytes(work: Work, site_id: int | None = None) -> dict[tuple[int, int], int]:
    """Return (site, partition) → unique bytes; each block counts at one site only.

    A block counts at the site of its oldest complete replica, else of its oldest one. So the sum
    over the sites is the size of one copy of all data.
    """
    complete = case((BlockReplica.complete.is_(True), BlockReplica.id))
    counted = (
        select(func.coalesce(func.min(complete), func.min(BlockReplica.id)).label("id"))
        .where(BlockReplica.state == ReplicaState.VALID)
        .group_by(BlockReplica.block_id, BlockReplica.partition_id)
    )
    if site_id is not None:  # the blocks at this site suffice, with all their replicas
        at_site = select(BlockReplica.block_id).where(BlockReplica.site_id == site_id)
        counted = counted.where(BlockReplica.block_id.in_(at_site))
    oldest = counted.subquery()
    rows = work.rows(
        select(BlockReplica.site_id, BlockReplica.partition_id, total(BlockReplica.bytes))
        .join(oldest, oldest.c.id == BlockReplica.id)
        .group_by(BlockReplica.site_id, BlockReplica.partition_id)
    )
    return {(site, partition): size for site, partition, size in rows}


def promised(work: Work) -> int | None:
    """Return the sum of the users' quotas; None if one of them is unlimited."""
    endless = select(func.count()).select_from(User).where(User.max_bytes.is_(None))
    if work.scalar(endless):
        return None
    return work.value(select(total(User.max_bytes)))


def users(work: Work, name: Glob | None) -> Listing[UserRow]:
    """List users by name."""
    chosen = select(User.id)
    if name is not None:
        chosen = chosen.where(fits(work, User.name, name))
    return Listing.of(UserRow, _USERS, chosen, User.id, [User.name])


def user(work: Work, name: str) -> UserRow | None:
    """Return a user or None."""
    return work.read_one(UserRow, _USERS.where(User.name == name))
