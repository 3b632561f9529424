"""Parting: files that nobody has leave the blocks of dying sites, so that the others can go.

They are lost, or never came. Each gets a place in a block of its own kind, where it is waited for,
injected again or dropped as before; what is left of its old block is complete and is copied.
"""

from collections.abc import Collection, Sequence
from typing import NamedTuple, TypeVarTuple

from sqlalchemy import NotNullable, Select, and_, delete, exists, or_, select, update
from sqlalchemy.orm import aliased

from dynamo.db.catalogue import accounting, block_filling, replicas
from dynamo.db.catalogue.replicas import Destination
from dynamo.db.deletions import condemnation, purge
from dynamo.db.engine.unit_of_work import Work, retried
from dynamo.db.evacuation import evacuation
from dynamo.db.history import Event, record
from dynamo.db.tables import Block, BlockReplica, Dataset, Deletion, File, ReplicaFile, Transfer
from dynamo.db.views.sites import SiteRow
from dynamo.inventory.callers import SYSTEM
from dynamo.inventory.states import ReplicaState, TransferKind
from dynamo.operations.hints import batches
from dynamo.operations.lifecycle import State
from dynamo.reasons import Reason
from dynamo.services.accounts.charging import limit
from dynamo.services.context import Context

Ts = TypeVarTuple("Ts")

BLOCKS_AT_ONCE = 20


def part(ctx: Context, site: SiteRow, most: int) -> None:
    """Take what nobody has out of so many blocks of a dying site."""
    for batch in batches(_lacking(ctx, site.id, most), BLOCKS_AT_ONCE):
        _part(ctx, site, batch)


@retried
def _lacking(ctx: Context, site_id: int, most: int) -> list[int]:
    with ctx.begin.reading() as work:
        dying = evacuation.dying_ids(work, ctx.settings.dealer.leaving)
        of = NotNullable(File.block_id)
        blocks = _missing(select(of), site_id, dying).distinct()
        return work.scalars(blocks.order_by(File.block_id).limit(most))


@retried
def _part(ctx: Context, site: SiteRow, block_ids: Sequence[int]) -> None:
    with ctx.begin() as work:
        dying = evacuation.dying_ids(work, ctx.settings.dealer.leaving)
        if site.id not in dying:
            return
        _lock(work, block_ids)
        here = File.block_id.in_(block_ids)
        missing = _missing(select(*_COLUMNS), site.id, dying).where(here)
        files = _once(work, work.read(_Missing, missing), site.id)
        destinations: dict[Destination, list[_Missing]] = {}
        for file in files:
            destinations.setdefault(_home(file), []).append(file)
        condemnation.displace(work, [file.id for file in files])
        for destination, members in destinations.items():
            _put_in(work, ctx, destination, members)
        _record_event(work, site, files)
        replicas.settle(work, block_ids)
        purge.forget_blocks(work, block_ids)


class _Missing(NamedTuple):
    """A file that nobody has, and where it was to come to."""

    id: int
    size: int
    dataset_id: int
    dataset: str
    transfer_id: int
    site_id: int
    partition_id: int
    group_id: int | None


_COMING = aliased(BlockReplica)
_COLUMNS = (
    File.id,
    NotNullable(File.size),
    File.dataset_id,
    Dataset.name.label("dataset"),
    Transfer.id.label("transfer_id"),
    Transfer.site_id,
    BlockReplica.partition_id,
    BlockReplica.group_id,
)


def _missing(shown: Select[*Ts], site_id: int, dying: Collection[int]) -> Select[*Ts]:
    """Select files that are wanted at a dying site, lie nowhere, and will not come as things are.

    Those that are still on their way to it are waited for.
    """
    whole = exists().where(_COMING.block_id == File.block_id, _COMING.complete.is_(True))
    held = and_(Transfer.state == State.HELD, Transfer.site_id.in_(dying))
    return (
        shown.select_from(BlockReplica)
        .join(Block, Block.id == BlockReplica.block_id)
        .join(Dataset, Dataset.id == BlockReplica.dataset_id)
        .join(File, File.block_id == Block.id)
        .join(Transfer, Transfer.file_id == File.id)
        .where(
            BlockReplica.site_id == site_id,
            BlockReplica.state == ReplicaState.VALID,
            BlockReplica.complete.is_(False),
            BlockReplica.n_files > 0,
            Block.closed.is_(True),
            Block.condemned_by.is_(None),
            File.condemned_by.is_(None),
            Transfer.kind != TransferKind.COPY,
            or_(Transfer.state == State.FAILED, held),
            ~whole.correlate(File),
            ~exists().where(ReplicaFile.file_id == File.id).correlate(File),
            ~exists().where(Deletion.file_id == File.id).correlate(File),
        )
    )


def _lock(work: Work, block_ids: Sequence[int]) -> None:
    """Lock all that is changed, in the order that all keep."""
    datasets = select(Block.dataset_id).where(Block.id.in_(block_ids)).distinct()
    for dataset_id in sorted(work.scalars(datasets)):
        accounting.grow(work, dataset_id, 0, 0)
    replicas.lock_blocks(work, block_ids)
    files = select(File.id).where(File.block_id.in_(block_ids))
    ids = work.scalars(select(Transfer.id).where(Transfer.file_id.in_(files)))
    locked = select(Transfer.id).where(Transfer.id.in_(ids)).order_by(Transfer.id)
    work.rows(locked.with_for_update())


def _once(work: Work, rows: Sequence[_Missing], site_id: int) -> list[_Missing]:
    """Keep of each file one row: it may have been declared lost at several sites, here at best."""
    found: dict[int, _Missing] = {}
    for row in sorted(rows, key=lambda row: (row.id, row.site_id != site_id)):
        found.setdefault(row.id, row)
    kept = {row.transfer_id for row in found.values()}
    others = Transfer.id.in_({row.transfer_id for row in rows} - kept)
    work.changed(delete(Transfer).where(others, Transfer.reason == Reason.LOST))
    return list(found.values())


def _home(file: _Missing) -> Destination:
    return Destination(file.dataset_id, file.site_id, file.partition_id, file.group_id)


def _put_in(work: Work, ctx: Context, destination: Destination, files: Sequence[_Missing]) -> None:
    """Give files a place where they were to come to, in blocks that nothing else is in."""
    block_filling.close(
        work, block_filling.open_at(work, destination.dataset_id, destination.site_id)
    )
    for share in block_filling.fill(
        work, destination, [file.size for file in files], limit(ctx.settings)
    ):
        block_filling.close(work, [share.block_id])
        members = files[share.start : share.stop]
        placed = {"block_id": share.block_id, "added": work.now}
        of_file = update(File).where(File.id.in_([file.id for file in members]))
        work.changed(of_file.values(placed))
        coming = update(Transfer).where(Transfer.id.in_([file.transfer_id for file in members]))
        work.changed(coming.values(replica_id=share.replica_id))
    size = sum(file.size for file in files)
    # whatever the limit says: their room was kept until now
    accounting.shift(work, {(destination.site_id, destination.partition_id): (size, 0)})


def _record_event(work: Work, site: SiteRow, files: Sequence[_Missing]) -> None:
    for name in sorted({file.dataset for file in files}):
        sizes = [file.size for file in files if file.dataset == name]
        event = Event(
            "parted",
            SYSTEM,
            name,
            site=site.name,
            n_files=len(sizes),
            bytes=sum(sizes),
            why="evacuation: nobody has them, and the other files of their blocks can go",
        )
        record(work, [event])
