"""Evacuation in rows: which sites are being emptied, and what of them is safe elsewhere."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, exists, func, or_, select
from sqlalchemy.orm import aliased

from dynamo.db.registry import lfn_hash
from dynamo.db.tables import (
    Block,
    BlockReplica,
    Dataset,
    Deletion,
    File,
    Group,
    Incident,
    Site,
    Transfer,
    User,
)
from dynamo.db.work import Work
from dynamo.dealer.globs import chosen
from dynamo.inventory.labels import Labels
from dynamo.inventory.states import ReplicaState, SiteStatus
from dynamo.operations.failures import REFUSED_THERE
from dynamo.operations.life import OPEN, State

_OTHER = aliased(BlockReplica)
_HOME = aliased(Site)


def _elsewhere(*more: Any) -> Any:
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


def _stays(dying: Collection[int]) -> Any:
    return and_(_HOME.status == SiteStatus.READY, _HOME.id.not_in(dying))


def safe(dying: Collection[int]) -> Any:
    """Tell whether the block is complete at another site, one that stays."""
    return _elsewhere(_OTHER.complete.is_(True), _stays(dying))


def moving(dying: Collection[int]) -> Any:
    """Tell whether anything of it is on its way to another site, one that stays."""
    return _elsewhere(_stays(dying), _coming(_OTHER.id))


def _coming(replica_id: Any) -> Any:
    """Tell whether anything comes to a replica, or waits for what another site waits for as well.

    What is held as the site does not take it may go to another.
    """
    refused = and_(Transfer.state == State.HELD, Transfer.reason.in_(REFUSED_THERE))
    return exists().where(Transfer.replica_id == replica_id, Transfer.state.in_(OPEN), ~refused)


def stalled(dying: Collection[int]) -> tuple[Any, ...]:
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


def dying(work: Work, leaving: Collection[str]) -> list[Any]:
    """Return the sites that are to be emptied: those in the morgue, and those `leaving`."""
    columns = (Site.id, Site.name, Site.status, Site.url, Site.rules)
    rows = work.rows(select(*columns).order_by(Site.id))
    named = chosen(leaving, Labels([row.name for row in rows]))
    return [
        row
        for row, meant in zip(rows, named.tolist(), strict=True)
        if meant or row.status == SiteStatus.MORGUE
    ]


def dying_ids(work: Work, leaving: Collection[str]) -> set[int]:
    """Return the keys of these sites."""
    return {row.id for row in dying(work, leaving)}


def open_blocks(work: Work, site_id: int, most: int) -> list[int]:
    """Return blocks that are still being filled at a site: only closed ones can be copied."""
    wanted = (Block.site_id == site_id, Block.closed.is_(False), Block.condemned_by.is_(None))
    return work.scalars(select(Block.id).where(*wanted).order_by(Block.id).limit(most))


def dispensable(work: Work, site_id: int, dying: Collection[int], most: int) -> Sequence[Any]:
    """Return replicas that nobody needs there: their blocks are complete at a site that stays."""
    wanted = (
        BlockReplica.site_id == site_id,
        BlockReplica.state == ReplicaState.VALID,
        BlockReplica.in_use == 0,
        safe(dying),
    )
    columns = (BlockReplica.id, BlockReplica.block_id, BlockReplica.bytes)
    return work.rows(select(*columns).where(*wanted).order_by(BlockReplica.id).limit(most))


def endangered(work: Work, dying: Collection[int], partition_ids: Collection[int]) -> list[int]:
    """Return the replicas of some partitions that dying sites take down with them.

    Their blocks are complete there and at no site that stays.
    """
    wanted = (
        BlockReplica.site_id.in_(dying),
        BlockReplica.partition_id.in_(partition_ids),
        BlockReplica.state == ReplicaState.VALID,
        BlockReplica.complete.is_(True),
        ~safe(dying),
    )
    return work.scalars(select(BlockReplica.id).where(*wanted))


def n_files(work: Work, site_id: int) -> int:
    """Count the files that lie at a site."""
    here = select(func.coalesce(func.sum(BlockReplica.n_files), 0))
    return int(work.scalar(here.where(BlockReplica.site_id == site_id)))


def to_move(work: Work, site_id: int) -> dict[int, int]:
    """Return, by destination, the bytes that are still on their way out of a site."""
    reading = select(BlockReplica.id).where(BlockReplica.site_id == site_id)
    open_ones = Transfer.state.in_((State.QUEUED, State.ACTIVE))
    rows = work.rows(
        select(Transfer.site_id, func.coalesce(func.sum(File.size), 0))
        .join(File, File.id == Transfer.file_id)
        .where(Transfer.source_id.in_(reading), open_ones)
        .group_by(Transfer.site_id)
    )
    return {row[0]: int(row[1]) for row in rows}


def last_deletion(work: Work, site_id: int) -> datetime | None:
    """Return when the last file that is condemned at a site may be deleted."""
    here = (Deletion.site_id == site_id, Deletion.state == State.QUEUED)
    latest: datetime | None = work.scalar(select(func.max(Deletion.not_before)).where(*here))
    return latest


def held_here(work: Work, site_id: int) -> Sequence[Any]:
    """Return all block replicas at a site with their owners, the largest first."""
    columns = (
        BlockReplica.id,
        BlockReplica.block_id,
        BlockReplica.n_files,
        BlockReplica.bytes,
        BlockReplica.complete,
        Block.uuid,
        Dataset.name.label("dataset"),
        User.name.label("owner"),
        Group.name.label("group"),
    )
    return work.rows(
        select(*columns)
        .join(Block, Block.id == BlockReplica.block_id)
        .join(Dataset, Dataset.id == BlockReplica.dataset_id)
        .outerjoin(User, User.id == Dataset.owner_id)
        .outerjoin(Group, Group.id == BlockReplica.group_id)
        .where(BlockReplica.site_id == site_id, BlockReplica.state == ReplicaState.VALID)
        .order_by(BlockReplica.bytes.desc(), BlockReplica.id)
    )


def complete_elsewhere(work: Work, site_id: int, dying: Collection[int]) -> dict[int, list[Any]]:
    """Return, by block at a site, the other sites at which it is complete and stays."""
    here = aliased(BlockReplica)
    rows = work.rows(
        select(here.block_id, Site.name, Site.kind, Site.status)
        .join(_OTHER, (_OTHER.block_id == here.block_id) & (_OTHER.id != here.id))
        .join(Site, Site.id == _OTHER.site_id)
        .where(
            here.site_id == site_id,
            _OTHER.complete.is_(True),
            _OTHER.state == ReplicaState.VALID,
            Site.status.in_((SiteStatus.READY, SiteStatus.WAITROOM)),
            Site.id.not_in(dying),
        )
        .order_by(Site.name)
    )
    found: dict[int, list[Any]] = {}
    for row in rows:
        found.setdefault(row.block_id, []).append(row)
    return found


def datasets_at(work: Work, site_id: int) -> list[str]:
    """Return the names of the datasets of which something lies at a site."""
    here = select(BlockReplica.dataset_id).where(BlockReplica.site_id == site_id)
    return work.scalars(select(Dataset.name).where(Dataset.id.in_(here)).order_by(Dataset.name))


@dataclass(frozen=True, slots=True)
class Unread:
    """A file that copies could not read at a dying site, and that no site that stays has."""

    file_id: int
    lfn: str
    size: int
    adler32: str
    block_id: int
    replica_id: int
    reason: str
    error: str | None
    corrupt: bool
    """Its bytes were read and are the wrong ones."""
    settled: bool
    """It was tried so often that it is tried only daily now."""

    @property
    def is_known(self) -> bool:
        """Tell whether something bad is known of this file, and not only of its site."""
        return self.corrupt or self.reason in _OF_THE_FILE


def unreadable(work: Work, site: Any) -> list[Any]:
    """Return files that could not be read at a site where they should lie."""
    told = (
        Incident.site == site.name,
        Incident.kind.in_(("missing", "corrupt")),
        Incident.ended.is_(None),
    )
    incidents = work.rows(
        select(Incident.lfn, Incident.kind, Incident.detail, Incident.at)
        .where(*told)
        .order_by(Incident.id)
    )
    found: list[Any] = []
    for start in range(0, len(incidents), 1000):
        some = {lfn_hash(row.lfn): row for row in incidents[start : start + 1000]}
        rows = work.rows(_awaited(site.id).where(File.lfn_hash.in_(list(some))))
        found += [_unreadable(some[row.lfn_hash], row) for row in rows]
    return found


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A file that could not be read where it should lie."""

    incident: Any
    file: Unread
    awaited: bool
    """Copies elsewhere wait for it, as there is nothing to read."""


def _unreadable(told: Any, row: Any) -> Unreadable:
    which = (row.id, row.lfn, row.size, row.adler32, row.block_id, row.replica_id)
    file = Unread(*which, told.kind, told.detail, corrupt=told.kind == "corrupt", settled=False)
    return Unreadable(told, file, row.awaited)


def _awaited(site_id: int) -> Any:
    """Select files at a site, and whether copies elsewhere wait for something to read."""
    waiting = (
        exists()
        .where(
            Transfer.file_id == File.id,
            Transfer.site_id != site_id,
            Transfer.state == State.HELD,
            Transfer.reason == "no-source",
        )
        .correlate(File)
    )
    here = (BlockReplica.site_id == site_id, BlockReplica.state == ReplicaState.VALID)
    columns = (File.id, File.lfn, File.lfn_hash, File.size, File.adler32, File.block_id)
    return (
        select(*columns, BlockReplica.id.label("replica_id"), waiting.label("awaited"))
        .join(BlockReplica, BlockReplica.block_id == File.block_id)
        .where(*here)
    )


@dataclass(frozen=True, slots=True)
class Patience:
    """Since when something must have failed for somebody to give up."""

    before: datetime
    site_fails: bool
    """Nothing could be read at the site since then."""
    asked: datetime
    """Copies that were sent for later say nothing yet of a site that fails."""
    attempts: int = 0
    """So often must a file have been tried where others can be read."""


_COPIES = 5
"""As many sites may wait for the same file."""
_OF_THE_FILE = ("source-missing", "checksum-mismatch", "no-source")
_OF_THE_SOURCE = ("source-error", *_OF_THE_FILE)


def unread(
    work: Work, site: Any, dying: Collection[int], patience: Patience, most: int, *more: Any
) -> list[Unread]:
    """Return such files for which copies have tried long enough, and which none reads just now."""
    elsewhere = _elsewhere(_OTHER.complete.is_(True), _HOME.id.not_in(dying))
    waits = (Transfer.site_id != site.id, Transfer.state.in_((State.QUEUED, State.HELD)))
    reader = aliased(Transfer)
    read = exists().where(reader.source_id == BlockReplica.id, reader.file_id == File.id)
    read = read.where(reader.state == State.ACTIVE).correlate(BlockReplica, File)
    corrupt = _known_bad(site, patience, Incident.kind == "corrupt")
    held = (Transfer.state == State.HELD).label("settled")
    here = BlockReplica.id.label("replica_id")
    columns = (File.id, File.lfn, File.size, File.adler32, File.block_id, here)
    rows = work.rows(
        select(*columns, Transfer.reason, Transfer.error, corrupt.label("corrupt"), held)
        .join(Transfer, Transfer.file_id == File.id)
        .join(BlockReplica, BlockReplica.block_id == File.block_id)
        .where(BlockReplica.site_id == site.id, BlockReplica.state == ReplicaState.VALID)
        .where(*waits, _failed_long(site, patience), ~elsewhere, File.condemned_by.is_(None))
        .where(~read, *more)
        .order_by(File.id, Transfer.id)
        .limit(most * _COPIES)
    )
    return list({row.id: Unread(*row) for row in rows}.values())[:most]


def _failed_long(site: Any, patience: Patience) -> Any:
    """Tell of a transfer that its file could not be read for long, or nothing at the site.

    Without an incident and without a source it may be one that an operator has stopped.
    """
    reads = BlockReplica.id == Transfer.source_id
    tried = or_(Transfer.attempts > 1, Transfer.state == State.HELD)
    often = Transfer.attempts >= patience.attempts
    failed = and_(reads, tried, often, Transfer.created <= patience.before)
    of_file = and_(
        or_(reads, Transfer.source_id.is_(None)),
        Transfer.reason.in_(_OF_THE_SOURCE),
        _known_bad(site, patience),
    )
    if patience.site_fails:
        failing = Transfer.reason.in_((*_OF_THE_SOURCE, "site-failing"))
        return or_(of_file, and_(reads, failing, Transfer.created <= patience.asked))
    return or_(of_file, and_(failed, Transfer.reason == "source-error"))


def _known_bad(site: Any, patience: Patience, *more: Any) -> Any:
    """Tell whether the file is known to be bad at the site since long."""
    told = (Incident.lfn == File.lfn, Incident.site == site.name, Incident.ended.is_(None))
    return exists().where(*told, Incident.at <= patience.before, *more).correlate(File)
