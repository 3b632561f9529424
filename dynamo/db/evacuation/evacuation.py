"""Evacuation in rows: which sites are being emptied, and what of them is safe elsewhere."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Exists, Nullable, SQLColumnExpression, and_, exists, func, or_, select
from sqlalchemy.orm import aliased

from dynamo.db.catalogue import good_copies
from dynamo.db.engine.expressions import Condition, Conditions, total
from dynamo.db.engine.unit_of_work import Work
from dynamo.db.tables import (
    Block,
    BlockReplica,
    Dataset,
    Deletion,
    File,
    Group,
    Site,
    Transfer,
    User,
)
from dynamo.db.transfers.source_selection import in_parts
from dynamo.db.views.sites import SITES, SiteRow
from dynamo.inventory.labels import Labels
from dynamo.inventory.states import ReplicaState, SiteStatus
from dynamo.operations.lifecycle import OPEN, State
from dynamo.policy.patterns import match_ordered
from dynamo.reasons import REFUSED_THERE

_OTHER = aliased(BlockReplica)
_HOME = aliased(Site)


def _elsewhere(*more: Condition) -> Condition:
    """Tell whether the block has another valid replica, of which something holds."""
    return (
        exists()
        .where(
            _OTHER.block_id == BlockReplica.block_id,
            _OTHER.id != BlockReplica.id,
            _OTHER.state == ReplicaState.VALID,
            _HOME.id == _OTHER.site_id,
            *more,
        )
        .correlate(BlockReplica)
    )


def safe(dying: Collection[int]) -> Condition:
    """Tell whether another copy of the block is safe to count."""
    return _elsewhere(good_copies.of_block(_OTHER), good_copies.stays_at(_HOME, dying))


def is_elsewhere(dying: Collection[int]) -> Condition:
    """Tell whether a site that is not being emptied, ready or not, has a good copy of the block."""
    return _elsewhere(good_copies.of_block(_OTHER), _HOME.id.not_in(dying))


def moving(dying: Collection[int]) -> Condition:
    """Tell whether anything of it is on its way to another site, one that stays."""
    return _elsewhere(good_copies.stays_at(_HOME, dying), _coming(_OTHER.id))


def _coming(replica_id: SQLColumnExpression[int]) -> Exists:
    """Tell whether anything comes to a replica, or waits for what another site waits for as well.

    What is held as the site does not take it may go to another.
    """
    refused = and_(Transfer.state == State.HELD, Transfer.reason.in_(REFUSED_THERE))
    return exists().where(Transfer.replica_id == replica_id, Transfer.state.in_(OPEN), ~refused)


def stalled(dying: Collection[int]) -> Conditions:
    """Return the conditions for parts at sites that stay to which nothing is on its way."""
    staying = select(Site.id).where(Site.status == SiteStatus.READY, Site.id.not_in(dying))
    return (
        BlockReplica.state == ReplicaState.VALID,
        BlockReplica.complete.is_(False),
        BlockReplica.site_id.in_(staying),
        ~_coming(BlockReplica.id).correlate(BlockReplica),
    )


def stalled_ids(work: Work, dying: Collection[int]) -> list[int]:
    """Return such parts of blocks that dying sites have as well."""
    at_stake = exists().where(_OTHER.block_id == BlockReplica.block_id, _OTHER.site_id.in_(dying))
    wanted = (*stalled(dying), at_stake.correlate(BlockReplica))
    return work.scalars(select(BlockReplica.id).where(*wanted))


def dying(work: Work, leaving: Collection[str]) -> list[SiteRow]:
    """Return the sites that are to be emptied: those in the morgue, and those `leaving`."""
    rows = work.read(SiteRow, SITES.order_by(Site.id))
    meant = _are_dying([(row.name, row.status) for row in rows], leaving)
    return [row for row, leaves in zip(rows, meant, strict=True) if leaves]


def dying_ids(work: Work, leaving: Collection[str]) -> set[int]:
    """Return the keys of these sites."""
    rows = work.rows(select(Site.id, Site.name, Site.status))
    meant = _are_dying([(name, status) for _, name, status in rows], leaving)
    return {key for (key, _, _), leaves in zip(rows, meant, strict=True) if leaves}


def _are_dying(sites: Sequence[tuple[str, str]], leaving: Collection[str]) -> list[bool]:
    """Tell of each site, by its name and status, whether it is to be emptied."""
    named = match_ordered(leaving, Labels([name for name, _ in sites])).tolist()
    return [
        bool(meant) or status == SiteStatus.MORGUE
        for meant, (_, status) in zip(named, sites, strict=True)
    ]


def open_blocks(work: Work, site_id: int, most: int) -> list[int]:
    """Return blocks that are still being filled at a site: only closed ones can be copied."""
    wanted = (Block.site_id == site_id, Block.closed.is_(False), Block.condemned_by.is_(None))
    return work.scalars(select(Block.id).where(*wanted).order_by(Block.id).limit(most))


class DispensableReplica(NamedTuple):
    """A replica that nobody needs where it lies."""

    id: int
    block_id: int


def dispensable(
    work: Work, site_id: int, dying: Collection[int], most: int
) -> list[DispensableReplica]:
    """Return replicas that nobody needs there: their blocks are complete at a site that stays."""
    wanted = (
        BlockReplica.site_id == site_id,
        BlockReplica.state == ReplicaState.VALID,
        BlockReplica.in_use == 0,
        safe(dying),
    )
    found = select(BlockReplica.id, BlockReplica.block_id).where(*wanted)
    return work.read(DispensableReplica, found.order_by(BlockReplica.id).limit(most))


def endangered(work: Work, dying: Collection[int], partition_ids: Collection[int]) -> list[int]:
    """Return the replicas of some partitions that dying sites take down with them.

    Their blocks are complete there, or in parts, and at no site that stays.
    """
    wanted = (
        BlockReplica.site_id.in_(dying),
        BlockReplica.partition_id.in_(partition_ids),
        BlockReplica.state == ReplicaState.VALID,
        or_(BlockReplica.complete.is_(True), in_parts(work, BlockReplica.block_id)),
        ~safe(dying),
    )
    return work.scalars(select(BlockReplica.id).where(*wanted))


def n_files(work: Work, site_id: int) -> int:
    """Count the files that lie at a site."""
    here = select(total(BlockReplica.n_files))
    return work.value(here.where(BlockReplica.site_id == site_id))


def to_move(work: Work, site_id: int) -> dict[int, int]:
    """Return, by destination, the bytes that are still on their way out of a site."""
    reading = select(BlockReplica.id).where(BlockReplica.site_id == site_id)
    open_ones = Transfer.state.in_((State.QUEUED, State.ACTIVE))
    rows = work.rows(
        select(Transfer.site_id, total(File.size))
        .join(File, File.id == Transfer.file_id)
        .where(Transfer.source_id.in_(reading), open_ones)
        .group_by(Transfer.site_id)
    )
    return dict(rows)


def last_deletion(work: Work, site_id: int) -> datetime | None:
    """Return when the last file that is condemned at a site may be deleted."""
    here = (Deletion.site_id == site_id, Deletion.state == State.QUEUED)
    return work.scalar(select(func.max(Deletion.not_before)).where(*here))


class OwnedReplica(NamedTuple):
    """A block replica with its owners."""

    block_id: int
    n_files: int
    bytes: int
    uuid: str
    dataset: str
    owner: str | None
    group: str | None


def held_here(work: Work, site_id: int) -> list[OwnedReplica]:
    """Return all block replicas at a site with their owners, the largest first."""
    columns = (
        BlockReplica.block_id,
        BlockReplica.n_files,
        BlockReplica.bytes,
        Block.uuid,
        Dataset.name.label("dataset"),
        Nullable(User.name.label("owner")),
        Nullable(Group.name.label("group")),
    )
    return work.read(
        OwnedReplica,
        select(*columns)
        .join(Block, Block.id == BlockReplica.block_id)
        .join(Dataset, Dataset.id == BlockReplica.dataset_id)
        .outerjoin(User, User.id == Dataset.owner_id)
        .outerjoin(Group, Group.id == BlockReplica.group_id)
        .where(BlockReplica.site_id == site_id, BlockReplica.state == ReplicaState.VALID)
        .order_by(BlockReplica.bytes.desc(), BlockReplica.id),
    )


class CompleteCopy(NamedTuple):
    """A site at which a block is complete."""

    block_id: int
    site: str
    kind: str
    status: str


def complete_elsewhere(
    work: Work, site_id: int, dying: Collection[int]
) -> dict[int, list[CompleteCopy]]:
    """Return, by block at a site, the other sites with a good copy that stays."""
    here = aliased(BlockReplica)
    rows = work.read(
        CompleteCopy,
        select(here.block_id, Site.name.label("site"), Site.kind, Site.status)
        .join(_OTHER, (_OTHER.block_id == here.block_id) & (_OTHER.id != here.id))
        .join(Site, Site.id == _OTHER.site_id)
        .where(
            here.site_id == site_id,
            good_copies.of_block(_OTHER),
            Site.status.in_((SiteStatus.READY, SiteStatus.WAITROOM)),
            Site.id.not_in(dying),
        )
        .order_by(Site.name),
    )
    found: dict[int, list[CompleteCopy]] = {}
    for row in rows:
        found.setdefault(row.block_id, []).append(row)
    return found


def datasets_at(work: Work, site_id: int) -> list[str]:
    """Return the names of the datasets of which something lies at a site."""
    here = select(BlockReplica.dataset_id).where(BlockReplica.site_id == site_id)
    return work.scalars(select(Dataset.name).where(Dataset.id.in_(here)).order_by(Dataset.name))
