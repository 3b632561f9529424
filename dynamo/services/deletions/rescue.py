"""Rescue: what is condemned and not yet touched is given back, whole replicas and whole files."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple, Self

from sqlalchemy import NotNullable, Select, and_, delete, func, insert, literal, or_, select, update

from dynamo.db.catalogue import accounting
from dynamo.db.catalogue import replicas as replica_rows
from dynamo.db.catalogue.names import DatasetRow
from dynamo.db.deletions import condemnation
from dynamo.db.engine import transitions
from dynamo.db.engine.unit_of_work import Work
from dynamo.db.requests import RequestRow
from dynamo.db.tables import Block, BlockReplica, Dataset, Deletion, File, ReplicaFile, Transfer
from dynamo.errors import Conflict, Full
from dynamo.inventory.request_bodies import DeletionBody, RequestBody, SystemCopyBody
from dynamo.inventory.states import DatasetStatus, Origin, ReplicaState, RequestState
from dynamo.operations.lifecycle import State
from dynamo.reasons import Reason
from dynamo.services import system_requests
from dynamo.services.context import Context
from dynamo.services.replication import completion

_TOUCHED = or_(Deletion.state != State.QUEUED, Deletion.lease_no > 0)
"""Once claimed, a file may be gone also where its worker died and it is queued again."""


def rescue(
    work: Work, ctx: Context, request: RequestRow[RequestBody], dataset: DatasetRow | None
) -> None:
    """Give back what a deletion has condemned; refused when nothing of it can be saved."""
    if request.state in (RequestState.DONE, RequestState.CANCELLED):
        raise Conflict(f"deletion {request.id} is {request.state} already", Reason.ALREADY_ENDED)
    condemned = work.rows(
        select(Deletion.id, File.block_id)
        .join(File, File.id == Deletion.file_id)
        .where(Deletion.request_id == request.id)
    )
    replica_rows.lock_blocks(work, {block for _, block in condemned if block is not None})
    replicas = _whole_replicas(work, request.id)
    files = _whole_files(work, request.id)
    if condemned and not replicas and not files:
        raise Conflict(
            "the data are being deleted already; nothing can be rescued", Reason.ALREADY_ENDED
        )
    if replicas:
        _revive_replicas(work, request.id, replicas)
    if files and dataset is not None:
        parts = _revive_files(work, dataset, files)
        if parts:
            copy = system_requests.file(
                work, ctx, Origin.RESCUE, SystemCopyBody(deletion_id=request.id)
            )
            completion.send(work, ctx, copy, parts)
    body = request.body
    if isinstance(body, DeletionBody) and body.whole and dataset is not None:
        status = {
            "status": DatasetStatus.VALID,
            "is_open": body.was_open,
            "updated": work.now,
        }
        work.changed(update(Dataset).where(Dataset.id == dataset.id).values(status))


def revive(work: Work, block_id: int) -> set[int]:
    """Give back condemned replicas of a locked block that nothing has touched yet.

    For a block whose other copies turn out to be bad. Return the deletions that this concerns.
    """
    leaving = select(Deletion.request_id).where(Deletion.replica_id == BlockReplica.id)
    ids = work.scalars(
        select(leaving.limit(1).scalar_subquery()).where(
            BlockReplica.block_id == block_id, BlockReplica.state == ReplicaState.CONDEMNED
        )
    )
    concerned: set[int] = set()
    for request_id in sorted({key for key in ids if key is not None}):
        whole = [row for row in _whole_replicas(work, request_id) if row.block_id == block_id]
        if whole:
            _revive_replicas(work, request_id, whole)
            concerned.add(request_id)
    return concerned


class _WholeReplica(NamedTuple):
    """A condemned replica of which nothing has been touched."""

    id: int
    block_id: int
    site_id: int
    partition_id: int
    bytes: int
    block_bytes: int


def _whole_replicas(work: Work, request_id: int) -> list[_WholeReplica]:
    """Return condemned replicas of which nothing has been touched.

    All their deletions are there and nobody has claimed one yet.
    """
    touched = select(Deletion.id).where(Deletion.replica_id == BlockReplica.id, _TOUCHED)
    scheduled = select(func.count()).where(Deletion.replica_id == BlockReplica.id).scalar_subquery()
    return work.read(
        _WholeReplica,
        select(
            BlockReplica.id,
            BlockReplica.block_id,
            BlockReplica.site_id,
            BlockReplica.partition_id,
            BlockReplica.bytes,
            Block.bytes.label("block_bytes"),
        )
        .join(Block, Block.id == BlockReplica.block_id)
        .where(
            BlockReplica.id.in_(
                select(Deletion.replica_id).where(Deletion.request_id == request_id)
            ),
            BlockReplica.state == ReplicaState.CONDEMNED,
            # a half-made copy is not worth saving; half-arrived data are
            BlockReplica.complete.is_(True) | BlockReplica.request_id.is_(None),
            ~touched.exists(),
            scheduled == Block.n_files,
        )
        .order_by(BlockReplica.id),
    )


def _revive_replicas(work: Work, request_id: int, replicas: Sequence[_WholeReplica]) -> None:
    ids = [replica.id for replica in replicas]
    work.changed(delete(Deletion).where(Deletion.replica_id.in_(ids)))
    transitions.move(work, BlockReplica, ids, ReplicaState.VALID, updated=work.now)
    for replica in replicas:
        # the files that had not arrived are booked again
        accounting.shift(
            work,
            {(replica.site_id, replica.partition_id): (replica.block_bytes - replica.bytes, 0)},
        )
    condemnation.revive_transfers(work, Transfer.replica_id.in_(ids))
    whole = (
        Block.id.in_({replica.block_id for replica in replicas}),
        Block.condemned_by == request_id,
    )
    blocks = work.read(
        _Removed,
        select(Block.id, Block.n_files, Block.bytes, Block.dataset_id, Dataset.owner_id)
        .join(Dataset, Dataset.id == Block.dataset_id)
        .where(*whole)
        .order_by(Block.dataset_id),
    )
    work.changed(
        update(Block).where(Block.id.in_([row.id for row in blocks])).values(condemned_by=None)
    )
    # those of a cycle are of many datasets
    for place, mine in groupby(blocks, lambda row: (row.dataset_id, row.owner_id)):
        back = list(mine)
        size = sum(row.bytes for row in back)
        _charge(work, place, sum(row.n_files for row in back), size)
    replica_rows.settle(work, {replica.block_id for replica in replicas})


class _Removed(NamedTuple):
    """A block that was removed as a whole."""

    id: int
    n_files: int
    bytes: int
    dataset_id: int
    owner_id: int | None


def _whole_files(work: Work, request_id: int) -> list[int]:
    """Return files, condemned alone, that still lie wherever they lay.

    One queued deletion at each site of the block.
    """
    here = Deletion.file_id == File.id
    touched = select(Deletion.id).where(here, _TOUCHED)
    scheduled = select(func.count()).where(here, Deletion.replica_id.is_(None)).scalar_subquery()
    sites = (BlockReplica.block_id == File.block_id, BlockReplica.state == ReplicaState.VALID)
    placed = select(func.count()).select_from(BlockReplica).where(*sites).scalar_subquery()
    wanted = (
        File.condemned_by == request_id,
        File.block_id.is_not(None),
        ~touched.exists(),
        scheduled == placed,
    )
    return work.scalars(select(File.id).where(*wanted).order_by(File.id))


class _Condemned(NamedTuple):
    """A file of a block that was condemned alone."""

    id: int
    block_id: int
    size: int


def _revive_files(work: Work, dataset: DatasetRow, file_ids: Collection[int]) -> list[int]:
    """Give files back to their block and to the replicas that hold them.

    Return the replicas that were completed without a file that can be copied to them now.
    """
    lying = set(work.rows(_lying(file_ids)))
    columns = (File.id, NotNullable(File.block_id), NotNullable(File.size))
    files = work.read(_Condemned, select(*columns).where(File.id.in_(file_ids)))
    replicas = [_Revived.of(row, files, lying) for row in _replicas(work, files)]
    reopened = [one for one in replicas if one.complete and one.lacks]
    for one in reopened:
        _reopen(work, one)
    work.changed(delete(Deletion).where(Deletion.file_id.in_(file_ids)))
    work.changed(update(File).where(File.id.in_(file_ids)).values(condemned_by=None))
    for file in files:
        grown = {"n_files": Block.n_files + 1, "bytes": Block.bytes + file.size}
        work.changed(update(Block).where(Block.id == file.block_id).values(grown))
    for one in replicas:
        _give_back(work, one)
    for one in replicas:
        accounting.shift(work, {one.place: (sum(file.size for file in one.lacks), 0)})
    condemnation.revive_transfers(work, Transfer.file_id.in_(file_ids))
    size = sum(file.size for file in files)
    _charge(work, (dataset.id, dataset.owner_id), len(files), size)
    readable = {file for file, _ in lying}
    return [one.id for one in reopened if any(file.id in readable for file in one.lacks)]


class _ValidReplica(NamedTuple):
    id: int
    block_id: int
    site_id: int
    partition_id: int
    complete: bool


@dataclass(frozen=True, slots=True)
class _Revived:
    """A valid replica of a block that gets files back."""

    id: int
    block_id: int
    complete: bool
    place: tuple[int, int]
    """The site and the partition that pays."""
    holds: Sequence[_Condemned]
    """The files that lie there."""
    lacks: Sequence[_Condemned]

    @classmethod
    def of(
        cls, row: _ValidReplica, files: Sequence[_Condemned], lying: Collection[tuple[int, int]]
    ) -> Self:
        """Sort the files of its block by whether they lie there, as (file, replica) says."""
        mine = [file for file in files if file.block_id == row.block_id]
        holds = [file for file in mine if (file.id, row.id) in lying]
        lacks = [file for file in mine if (file.id, row.id) not in lying]
        place = (row.site_id, row.partition_id)
        return cls(row.id, row.block_id, row.complete, place, holds, lacks)


def _replicas(work: Work, files: Sequence[_Condemned]) -> list[_ValidReplica]:
    columns = (
        BlockReplica.id,
        BlockReplica.block_id,
        BlockReplica.site_id,
        BlockReplica.partition_id,
        BlockReplica.complete,
    )
    return work.read(
        _ValidReplica,
        select(*columns)
        .where(
            BlockReplica.block_id.in_({file.block_id for file in files}),
            BlockReplica.state == ReplicaState.VALID,
        )
        .order_by(BlockReplica.id),
    )


def _lying(file_ids: Collection[int]) -> Select[int, int]:
    """Select (file, replica) where a condemned file lies.

    That a replica is complete says little: what never came was not waited for once it had left.
    Of a file without bytes nothing else may tell.
    """
    arrival = (Transfer.file_id == File.id, Transfer.site_id == BlockReplica.site_id)
    came = select(Transfer.id).where(*arrival, Transfer.state == State.DONE)
    awaited = select(Transfer.id).where(*arrival, Transfer.state == State.CANCELLED)
    empty = and_(File.size == 0, BlockReplica.complete.is_(True), ~awaited.exists())
    return (
        select(File.id, BlockReplica.id)
        .join(BlockReplica, BlockReplica.block_id == File.block_id)
        .join(Deletion, (Deletion.file_id == File.id) & (Deletion.site_id == BlockReplica.site_id))
        .where(File.id.in_(file_ids), or_(Deletion.bytes > 0, came.exists(), empty))
    )


def _reopen(work: Work, replica: _Revived) -> None:
    """Let a complete replica list its files, as one does that waits for more."""
    there = (File.block_id == replica.block_id, File.condemned_by.is_(None))
    rows = select(literal(replica.id), File.id).where(*there)
    work.changed(insert(ReplicaFile).from_select(["replica_id", "file_id"], rows))
    waits = {"complete": False, "updated": work.now}
    work.changed(update(BlockReplica).where(BlockReplica.id == replica.id).values(waits))


def _give_back(work: Work, replica: _Revived) -> None:
    """Count the files that lie in a replica to it again; only a whole one lists none."""
    grown = {
        "n_files": BlockReplica.n_files + len(replica.holds),
        "bytes": BlockReplica.bytes + sum(file.size for file in replica.holds),
    }
    work.changed(update(BlockReplica).where(BlockReplica.id == replica.id).values(grown))
    if not replica.complete or replica.lacks:
        listed = [{"replica_id": replica.id, "file_id": file.id} for file in replica.holds]
        work.insert(ReplicaFile, listed)


def _charge(work: Work, place: tuple[int, int | None], n_files: int, size: int) -> None:
    """Count files to a dataset and its owner again, who come as keys."""
    dataset_id, owner_id = place
    accounting.grow(work, dataset_id, n_files, size)
    if n_files and not accounting.charge(work, owner_id, n_files, size):
        raise Full(
            "the user quota has no room for what would be rescued; free some first",
            Reason.QUOTA_EXCEEDED,
        )
