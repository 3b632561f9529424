"""Forgetting: replicas, files, blocks and datasets that no storage holds any more."""

from collections.abc import Collection, Sequence

from sqlalchemy import Exists, delete, select, update

from dynamo.db.catalogue import accounting
from dynamo.db.catalogue import replicas as replica_rows
from dynamo.db.catalogue.replicas import ReplicaRow
from dynamo.db.deletions.deletions import ClaimedDeletion
from dynamo.db.engine.expressions import Condition
from dynamo.db.engine.unit_of_work import Work
from dynamo.db.history import Event, record
from dynamo.db.tables import (
    Block,
    BlockReplica,
    Dataset,
    Deletion,
    File,
    ReplicaFile,
    Transfer,
)
from dynamo.inventory.callers import SYSTEM


def gone(work: Work, deletions: Sequence[ClaimedDeletion]) -> None:
    """Forget what the storage has let go: the copies, then files and blocks that have none left."""
    work.changed(delete(Deletion).where(Deletion.id.in_([row.id for row in deletions])))
    accounting.shift(
        work, accounting.summed((r.site_id, r.partition_id, -r.bytes, -r.bytes) for r in deletions)
    )
    replicas = {row.replica_id for row in deletions if row.replica_id is not None}
    _forget_replicas(work, _without_deletions(work, replicas))
    _forget_files(work, {row.file_id for row in deletions})
    forget_blocks(work, {row.block_id for row in deletions if row.block_id is not None})
    forget_datasets(work, {row.dataset_id for row in deletions})


def forget_blocks(work: Work, block_ids: Collection[int]) -> None:
    """Forget blocks that are removed as a whole and have no replica left.

    Closed ones that are empty.
    """
    here = BlockReplica.block_id == Block.id
    # files that were condemned before, alone, may leave later: the block goes with the last of them
    leaving = select(Deletion.id).join(File, File.id == Deletion.file_id)
    condemned = select(Block.id).where(
        Block.id.in_(block_ids),
        Block.condemned_by.is_not(None),
        ~_exists(here),
        ~leaving.where(File.block_id == Block.id).exists(),
    )
    _forget_files(
        work,
        work.scalars(select(File.id).where(File.block_id.in_(work.scalars(condemned)))),
        whole=True,
    )
    no_files = ~select(File.id).where(File.block_id == Block.id).exists()
    empty = select(Block.id).where(
        Block.id.in_(block_ids), Block.closed.is_(True), Block.n_files == 0, no_files
    )
    lonely = select(Block.id).where(
        Block.id.in_(block_ids), Block.condemned_by.is_not(None), no_files, ~_exists(here)
    )
    ids = set(work.scalars(empty)) | set(work.scalars(lonely))
    if ids:
        _forget_replicas(
            work, set(work.scalars(select(BlockReplica.id).where(BlockReplica.block_id.in_(ids))))
        )
        work.changed(delete(Block).where(Block.id.in_(ids)))


def forget_datasets(work: Work, dataset_ids: Collection[int]) -> None:
    """Forget the names of removed datasets that have nothing left."""
    gone_ones = work.rows(
        select(Dataset.id, Dataset.name).where(
            Dataset.id.in_(dataset_ids),
            Dataset.status == "deleted",
            ~select(Block.id).where(Block.dataset_id == Dataset.id).exists(),
            ~select(File.id).where(File.dataset_id == Dataset.id).exists(),
        )
    )
    if gone_ones:
        record(work, [Event("dataset-gone", SYSTEM, name) for _, name in gone_ones])
        work.changed(delete(Dataset).where(Dataset.id.in_([key for key, _ in gone_ones])))


def _forget_replicas(work: Work, replica_ids: Collection[int]) -> None:
    mine = replica_rows.described().where(BlockReplica.id.in_(replica_ids))
    replicas = work.read(ReplicaRow, mine)
    if not replicas:
        return
    ids = [row.id for row in replicas]
    work.changed(update(Transfer).where(Transfer.replica_id.in_(ids)).values(replica_id=None))
    work.changed(update(Transfer).where(Transfer.source_id.in_(ids)).values(source_id=None))
    work.changed(delete(ReplicaFile).where(ReplicaFile.replica_id.in_(ids)))
    work.changed(delete(BlockReplica).where(BlockReplica.id.in_(ids)))
    replica_rows.forget_dataset_replicas(
        work, {row.dataset_id for row in replicas}, {row.site_id for row in replicas}
    )
    record(
        work,
        [Event("replica-gone", SYSTEM, row.dataset, row.uuid, site=row.site) for row in replicas],
    )


def _forget_files(work: Work, file_ids: Collection[int], *, whole: bool = False) -> None:
    """Forget files that were condemned (or whose block is, as a whole) and lie nowhere any more."""
    lie = select(Deletion.id).where(Deletion.file_id == File.id).exists()
    wanted = select(File.id, File.lfn, Dataset.name).join(Dataset, Dataset.id == File.dataset_id)
    condemned = wanted.where(File.id.in_(file_ids), ~lie)
    files = work.rows(condemned if whole else condemned.where(File.condemned_by.is_not(None)))
    ids = [key for key, _, _ in files]
    if ids:
        work.changed(delete(Transfer).where(Transfer.file_id.in_(ids)))
        work.changed(delete(File).where(File.id.in_(ids)))
        record(work, [Event("file-gone", SYSTEM, name, lfn=lfn) for _, lfn, name in files])


def _without_deletions(work: Work, replica_ids: Collection[int]) -> set[int]:
    left = select(Deletion.id).where(Deletion.replica_id == BlockReplica.id).exists()
    emptied = select(BlockReplica.id).where(BlockReplica.id.in_(replica_ids), ~left)
    return set(work.scalars(emptied))


def _exists(condition: Condition) -> Exists:
    return select(BlockReplica.id).where(condition).exists()
