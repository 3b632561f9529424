"""Files as callers see them, and everything from which the state of a file at a site follows."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import select

from dynamo.db.catalogue.names import lfn_hash
from dynamo.db.engine.key_lists import among
from dynamo.db.engine.packed_rows import gathered
from dynamo.db.engine.pagination import Listing, Selection, fits
from dynamo.db.engine.unit_of_work import Work
from dynamo.db.tables import (
    Block,
    BlockReplica,
    Dataset,
    Deletion,
    File,
    ReplicaFile,
    Site,
    Transfer,
)
from dynamo.db.views.blocks import within
from dynamo.inventory.globs import Glob
from dynamo.inventory.names import BlockName
from dynamo.operations.lifecycle import State

_FILES: Selection = (
    select(
        File.id,
        File.lfn,
        File.size,
        File.adler32,
        File.created,
        File.block_id,
        File.condemned_by,
        Dataset.name.label("dataset"),
        Block.uuid,
    )
    .join(Dataset, Dataset.id == File.dataset_id)
    .outerjoin(Block, Block.id == File.block_id)
)


def of_dataset(work: Work, dataset: Glob, lfn: Glob | None) -> Listing:
    """List the files of one dataset, or of those that fit."""
    chosen, keys = within(work, _named(work, lfn), dataset, (File.dataset_id, File.id))
    return Listing(_FILES, chosen, File.id, keys, gathered)


def of_block(work: Work, block: BlockName, lfn: Glob | None) -> Listing:
    """List the files of a block."""
    named = (Dataset.name == block.dataset, Block.uuid == block.id)
    key = work.scalar(select(Block.id).join(Dataset, Dataset.id == Block.dataset_id).where(*named))
    chosen = _named(work, lfn).where(File.block_id == (-1 if key is None else key))
    return Listing(_FILES, chosen, File.id, [File.id], gathered)


def _named(work: Work, lfn: Glob | None) -> Selection:
    chosen: Selection = select(File.id)
    return chosen if lfn is None else chosen.where(fits(work, File.lfn, lfn))


def named(work: Work, lfns: Collection[str]) -> Sequence[Any]:
    """Return files by name."""
    return work.rows(_FILES.where(File.lfn_hash.in_([lfn_hash(lfn) for lfn in lfns])))


def replicas(work: Work, block_ids: Collection[int]) -> Sequence[Any]:
    """Return the replicas of the files' blocks, the oldest first."""
    columns = (
        BlockReplica.id,
        BlockReplica.block_id,
        BlockReplica.site_id,
        BlockReplica.state,
        BlockReplica.complete,
    )
    found = work.rows(select(*columns).where(BlockReplica.block_id.in_(block_ids)))
    return sorted(found, key=lambda row: row.id)


def present(
    work: Work, replica_ids: Collection[int], file_ids: Collection[int]
) -> set[tuple[int, int]]:
    """Return which of the files incomplete replicas hold, as (replica, file)."""
    if not replica_ids:
        return set()
    held = select(ReplicaFile.replica_id, ReplicaFile.file_id).where(
        among(ReplicaFile.file_id, file_ids)
    )
    wanted = set(replica_ids)
    return {(row[0], row[1]) for row in gathered(work, held) if row[0] in wanted}


def transfers(work: Work, file_ids: Collection[int]) -> Sequence[Any]:
    """Return the transfers of files that have not come to their end yet."""
    if not file_ids:
        return ()
    columns = (
        Transfer.file_id,
        Transfer.site_id,
        Transfer.state,
        Transfer.reason,
        Transfer.attempts,
        Transfer.not_before,
    )
    unfinished = Transfer.state.not_in((State.DONE, State.CANCELLED))
    return gathered(work, select(*columns).where(among(Transfer.file_id, file_ids), unfinished))


def deletions(work: Work, file_ids: Collection[int]) -> Sequence[Any]:
    """Return the deletions of files that have not come to their end yet."""
    if not file_ids:
        return ()
    columns = (
        Deletion.file_id,
        Deletion.site_id,
        Deletion.state,
        Deletion.reason,
        Deletion.attempts,
        Deletion.not_before,
    )
    unfinished = Deletion.state.not_in((State.DONE, State.CANCELLED))
    return gathered(work, select(*columns).where(among(Deletion.file_id, file_ids), unfinished))


def sites(work: Work, site_ids: Collection[int]) -> dict[int, Any]:
    """Return sites by key, with what makes addresses."""
    columns = (Site.id, Site.name, Site.url, Site.rules)
    return {row.id: row for row in work.rows(select(*columns).where(Site.id.in_(site_ids)))}
