"""Changes of sites, quotas and switches, and wake-ups of held transfers after them."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import func, select, update

from dynamo.db.catalogue import good_copies
from dynamo.db.engine.unit_of_work import Work
from dynamo.db.invariants.sums import SUMS
from dynamo.db.tables import (
    BlockReplica,
    Dataset,
    File,
    Partition,
    Quota,
    Site,
    Switch,
    Transfer,
    User,
)
from dynamo.db.tables.types import Json
from dynamo.operations.lifecycle import State
from dynamo.reasons import Reason


class LockedSite(NamedTuple):
    """A site that is about to be changed."""

    id: int
    url: str
    rules: Json


def locked(work: Work, name: str) -> LockedSite | None:
    """Lock a site and return it, or None."""
    named = select(Site.id, Site.url, Site.rules).where(Site.name == name)
    return work.read_one(LockedSite, named.with_for_update())


def add(work: Work, values: Mapping[str, object]) -> int:
    """Register a site."""
    return work.add(Site, **values, created=work.now)


def change(work: Work, site_id: int, values: Mapping[str, object]) -> None:
    """Change a site."""
    work.changed(update(Site).where(Site.id == site_id).values(**values))


def sample(work: Work, site_id: int, n: int) -> list[str]:
    """Return one file each of up to n complete blocks at a site, spread over time."""
    at_site = BlockReplica.site_id == site_id
    whole = (at_site, good_copies.of_block())
    first, last = work.only(
        select(func.min(BlockReplica.id), func.max(BlockReplica.id)).where(at_site)
    )
    if first is None:
        return []
    next_block = select(BlockReplica.id, BlockReplica.block_id).where(*whole)
    blocks: list[int] = []
    after = first - 1
    for part in range(n):
        bound = max(after + 1, first + (last - first) * part // n)
        row = work.row(
            next_block.where(BlockReplica.id >= bound).order_by(BlockReplica.id).limit(1)
        )
        if row is None:
            break
        after, block = row
        blocks.append(block)
    files = select(func.min(File.lfn)).where(File.block_id.in_(blocks), File.condemned_by.is_(None))
    return work.scalars(files.group_by(File.block_id))


def partition_id(work: Work, name: str) -> int | None:
    """Return a partition's key; None for an unknown one."""
    return work.scalar(select(Partition.id).where(Partition.name == name))


def set_partition(work: Work, partition: int, values: Mapping[str, object]) -> None:
    """Set what policies may do in a partition."""
    work.changed(update(Partition).where(Partition.id == partition).values(**values))


def set_quota(work: Work, site_id: int, partition: int, max_bytes: int | None) -> None:
    """Set the bytes that a partition may fill at a site; used bytes are counted."""
    same_quota = (Quota.site_id == site_id, Quota.partition_id == partition)
    if work.row(select(Quota.site_id).where(*same_quota).with_for_update()) is not None:
        work.changed(update(Quota).where(*same_quota).values(max_bytes=max_bytes))
        return
    work.add(
        Quota, site_id=site_id, partition_id=partition, max_bytes=max_bytes, projected=0, used=0
    )
    for kept in SUMS:  # official data may be older than the quota
        if kept.table is Quota:
            kept.repair(work, {"site_id": site_id, "partition_id": partition})


def set_user_quota(work: Work, user_id: int, max_bytes: int | None) -> None:
    """Set the quota of unique bytes of a user."""
    work.changed(update(User).where(User.id == user_id).values(max_bytes=max_bytes))


def set_switch(work: Work, name: str, values: Mapping[str, object]) -> None:
    """Set a stop switch."""
    same_name = Switch.name == name
    if work.row(select(Switch.name).where(same_name).with_for_update()) is not None:
        work.changed(update(Switch).where(same_name).values(**values, at=work.now))
        return
    work.add(Switch, name=name, **values, at=work.now)


def wake_site(work: Work, site_id: int | None, reasons: Collection[str]) -> int:
    """Make held transfers to a site (None = all sites) due, if their reason has ended."""
    held = [Transfer.state == State.HELD, Transfer.reason.in_(reasons)]
    if site_id is not None:
        held.append(Transfer.site_id == site_id)
    return work.changed(update(Transfer).where(*held).values(not_before=work.now))


def wake_back(work: Work, site_id: int) -> int:
    """Make held transfers due that waited for a site, as source or destination, to be back."""
    at_site = BlockReplica.site_id == site_id
    read = (
        Transfer.state == State.HELD,
        Transfer.reason.in_((Reason.SOURCE_ERROR, Reason.NO_SOURCE)),
    )
    # read without locks: an UPDATE that searches would wait for all working transfers
    ids = work.scalars(
        select(Transfer.id)
        .join(File, File.id == Transfer.file_id)
        .join(BlockReplica, BlockReplica.block_id == File.block_id)
        .where(at_site, *read)
    )
    held = (Transfer.id.in_(ids), Transfer.state == State.HELD)
    woken = work.changed(update(Transfer).where(*held).values(not_before=work.now)) if ids else 0
    return woken + wake_site(work, site_id, (Reason.SITE_NOT_READY, Reason.DESTINATION_ERROR))


def wake_user(work: Work, user_id: int, reasons: Collection[str]) -> int:
    """Make held transfers of a user's files due."""
    files = select(File.id).join(Dataset, Dataset.id == File.dataset_id)
    owned = files.where(Dataset.owner_id == user_id)
    held = (Transfer.state == State.HELD, Transfer.reason.in_(reasons), Transfer.file_id.in_(owned))
    return work.changed(update(Transfer).where(*held).values(not_before=work.now))


class SwitchRow(NamedTuple):
    """A switch."""

    name: str
    stopped: bool
    who: str
    why: str | None
    at: datetime


def switches(work: Work) -> dict[str, SwitchRow]:
    """Return all switches that were ever set, by name."""
    columns = (Switch.name, Switch.stopped, Switch.who, Switch.why, Switch.at)
    return {row.name: row for row in work.read(SwitchRow, select(*columns))}
