"""Removal in rows.

Replicas and files are condemned, and forgotten once the storage has let them go.

The callers hold the locks of the blocks concerned, so nobody counts copies, pins or fills
meanwhile.
"""

from collections import Counter
from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import and_, case, delete, func, select, update

from dynamo.db import requests
from dynamo.db.catalogue import accounting
from dynamo.db.catalogue import replicas as replica_rows
from dynamo.db.catalogue.replicas import ReplicaRow
from dynamo.db.deletions import scheduling
from dynamo.db.deletions.scheduling import Order
from dynamo.db.engine import transitions
from dynamo.db.engine.expressions import Condition, total
from dynamo.db.engine.unit_of_work import Again, Work
from dynamo.db.history import Event, record
from dynamo.db.requests import Tallies
from dynamo.db.tables import (
    Block,
    BlockReplica,
    Dataset,
    File,
    ReplicaFile,
    Transfer,
)
from dynamo.inventory.states import ReplicaState, TransferKind
from dynamo.operations.lifecycle import OPEN, State


def condemn_replicas(work: Work, replica_ids: Collection[int], order: Order) -> int:
    """Condemn valid replicas that nobody reads from; return how many files will leave.

    Whether the block may lose them was decided by the caller, under the same locks.
    """
    replicas = _condemnable(work, replica_ids)
    if not replicas:
        return 0
    ids = [replica.id for replica in replicas]
    idle = (BlockReplica.id.in_(ids), BlockReplica.in_use == 0)
    condemned = ReplicaState.CONDEMNED
    if transitions.move_where(work, BlockReplica, idle, condemned, updated=work.now) != len(ids):
        raise Again("a replica changed meanwhile")
    quiet = max(cancel_transfers(work, Transfer.replica_id.in_(ids)), order.quiet or work.now)
    n = scheduling.placed(work, BlockReplica.id.in_(ids), order, quiet, whole=True)
    accounting.shift(
        work,
        accounting.summed(
            (r.site_id, r.partition_id, r.bytes - r.block_bytes, 0) for r in replicas
        ),
    )
    record(work, [_event("condemned", order, replica) for replica in replicas])
    return n


class _Dropped(NamedTuple):
    id: int
    lfn: str
    block_id: int | None
    size: int | None
    dataset_id: int
    dataset: str
    owner_id: int | None


def drop(work: Work, file_ids: Collection[int], order: Order) -> int:
    """Condemn single files everywhere, unless they leave already, alone or with their block.

    They leave their blocks now and their sites after the grace time.
    """
    files = work.read(
        _Dropped,
        select(
            File.id,
            File.lfn,
            File.block_id,
            File.size,
            Dataset.id.label("dataset_id"),
            Dataset.name.label("dataset"),
            Dataset.owner_id,
        )
        .join(Dataset, Dataset.id == File.dataset_id)
        .outerjoin(Block, Block.id == File.block_id)
        .where(File.id.in_(file_ids), File.condemned_by.is_(None), Block.condemned_by.is_(None))
        .order_by(File.id),
    )
    ids = [file.id for file in files]
    quiet = cancel_transfers(work, Transfer.file_id.in_(ids))
    n = scheduling.placed(work, File.id.in_(ids), order, quiet, whole=False) + scheduling.unplaced(
        work, ids, order, quiet
    )
    _take_out(work, ids)
    work.changed(update(File).where(File.id.in_(ids)).values(condemned_by=order.request_id))
    for dataset_id, owner_id in sorted({(file.dataset_id, file.owner_id or 0) for file in files}):
        # a size that was read but found no room in the quotas was never booked
        sizes = [
            (file.size or 0) if file.block_id else 0
            for file in files
            if file.dataset_id == dataset_id
        ]
        accounting.grow(work, dataset_id, -len(sizes), -sum(sizes))
        accounting.refund(work, owner_id or None, len(sizes), sum(sizes))
    replica_rows.settle(work, {file.block_id for file in files if file.block_id is not None})
    why = order.cause
    record(
        work,
        [
            Event(
                "file-condemned",
                order.who,
                f.dataset,
                lfn=f.lfn,
                bytes=f.size,
                request_id=order.request_id,
                why=why,
            )
            for f in files
        ],
    )
    return n


def displace(work: Work, file_ids: Collection[int]) -> None:
    """Take files out of their blocks without dropping them; nobody copies them any more."""
    copies = and_(Transfer.file_id.in_(file_ids), Transfer.kind == TransferKind.COPY)
    cancel_transfers(work, copies)
    _take_out(work, file_ids)


class _OpenTransfer(NamedTuple):
    id: int
    kind: str
    request_id: int
    source_id: int | None
    lease_until: datetime | None


def cancel_transfers(work: Work, which: Condition) -> datetime:
    """Cancel open transfers.

    Return the moment after which no worker touches their files any more.
    """
    open_ones = work.read(
        _OpenTransfer,
        select(
            Transfer.id,
            Transfer.kind,
            Transfer.request_id,
            Transfer.source_id,
            Transfer.lease_until,
        )
        .where(which, Transfer.state.in_(OPEN))
        .order_by(Transfer.id)
        .with_for_update(),
    )
    replica_rows.pin(
        work,
        {
            key: -n
            for key, n in Counter(row.source_id for row in open_ones if row.source_id).items()
        },
    )
    copies = [row.id for row in open_ones if row.kind == TransferKind.COPY]
    arrivals = [row.id for row in open_ones if row.kind != TransferKind.COPY]
    if copies:
        work.changed(delete(Transfer).where(Transfer.id.in_(copies)))
    if arrivals:
        transitions.move(
            work,
            Transfer,
            arrivals,
            State.CANCELLED,
            not_before=None,
            lease_owner=None,
            lease_until=None,
            updated=work.now,
        )
        tallies = Tallies()
        for row in open_ones:
            if row.kind != TransferKind.COPY:
                tallies[row.request_id].failed += 1
        requests.count(work, tallies)
        requests.settle_injections(work, tallies.of)
    return max(
        [row.lease_until for row in open_ones if row.lease_until is not None], default=work.now
    )


def revive_transfers(work: Work, which: Condition) -> None:
    """Queue cancelled arrivals again; for their requests they have not failed any more."""
    cancelled = (which, Transfer.state == State.CANCELLED)
    rows = work.rows(select(Transfer.id, Transfer.request_id).where(*cancelled))
    transitions.move(
        work,
        Transfer,
        [key for key, _ in rows],
        State.QUEUED,
        from_=(State.CANCELLED,),
        not_before=work.now,
        hinted=work.now,
    )
    tallies = Tallies()
    for _, request_id in rows:
        tallies[request_id].failed -= 1
    requests.count(work, tallies)


def _condemnable(work: Work, replica_ids: Collection[int]) -> list[ReplicaRow]:
    free = (
        BlockReplica.id.in_(replica_ids),
        BlockReplica.state == ReplicaState.VALID,
        BlockReplica.in_use == 0,
    )
    return work.read(ReplicaRow, replica_rows.described().where(*free))


class _Holding(NamedTuple):
    """A replica that loses files: how many it holds of them, their bytes, and those of all."""

    id: int
    site_id: int
    partition_id: int
    n: int
    bytes: int
    all_bytes: int


def _take_out(work: Work, file_ids: Collection[int]) -> None:
    """Take files out of the counts of their blocks and of the replicas that hold them."""
    blocks = work.rows(
        select(File.block_id, func.count(), total(File.size))
        .where(File.id.in_(file_ids), File.block_id.is_not(None))
        .group_by(File.block_id)
        .order_by(File.block_id)
    )
    held = BlockReplica.complete.is_(True) | ReplicaFile.file_id.is_not(None)
    present = work.read(
        _Holding,
        select(
            BlockReplica.id,
            BlockReplica.site_id,
            BlockReplica.partition_id,
            total(case((held, 1), else_=0)).label("n"),
            total(case((held, File.size), else_=0)).label("bytes"),
            total(File.size).label("all_bytes"),
        )
        .join(File, File.block_id == BlockReplica.block_id)
        .outerjoin(
            ReplicaFile,
            (ReplicaFile.replica_id == BlockReplica.id) & (ReplicaFile.file_id == File.id),
        )
        .where(File.id.in_(file_ids), BlockReplica.state == ReplicaState.VALID)
        .group_by(BlockReplica.id, BlockReplica.site_id, BlockReplica.partition_id)
        .order_by(BlockReplica.id),
    )
    for block_id, n, size in blocks:
        left = {"n_files": Block.n_files - n, "bytes": Block.bytes - size}
        work.changed(update(Block).where(Block.id == block_id).values(left))
    for row in present:
        left = {
            "n_files": BlockReplica.n_files - row.n,
            "bytes": BlockReplica.bytes - row.bytes,
        }
        work.changed(update(BlockReplica).where(BlockReplica.id == row.id).values(left))
    work.changed(delete(ReplicaFile).where(ReplicaFile.file_id.in_(file_ids)))
    accounting.shift(
        work,
        accounting.summed((r.site_id, r.partition_id, r.bytes - r.all_bytes, 0) for r in present),
    )


def _event(what: str, order: Order, replica: ReplicaRow) -> Event:
    return Event(
        what,
        order.who,
        dataset=replica.dataset,
        block=replica.uuid,
        site=replica.site,
        n_files=replica.n_files,
        bytes=replica.bytes,
        request_id=order.request_id,
        why=order.cause if order.why is None else f"{order.cause}, {order.why}"[:1000],
    )
