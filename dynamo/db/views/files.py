"""Files for callers, and the rows from which their states at sites follow."""

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Nullable, Select, select

from dynamo.db.catalogue.names import lfn_hash
from dynamo.db.engine import packed_rows
from dynamo.db.engine.key_lists import among
from dynamo.db.engine.pagination import Listing, fits
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
from dynamo.db.tables.types import Json
from dynamo.db.views.blocks import within
from dynamo.inventory.globs import Glob
from dynamo.inventory.names import BlockName
from dynamo.operations.lifecycle import State


class FileView(NamedTuple):
    """A file as callers see it."""

    id: int
    lfn: str
    size: int | None
    adler32: str | None
    created: datetime
    block_id: int | None
    condemned_by: int | None
    dataset: str
    uuid: str | None


class BlockAtSite(NamedTuple):
    """A replica of a file's block."""

    id: int
    block_id: int
    site_id: int
    state: str
    complete: bool


class FileOperation(NamedTuple):
    """A transfer or a deletion of a file that has not come to its end yet."""

    file_id: int
    site_id: int
    state: str
    reason: str | None
    attempts: int
    not_before: datetime | None


class SiteAddress(NamedTuple):
    """Name, URL and rules of a site."""

    id: int
    name: str
    url: str
    rules: Json


_FILES = (
    select(
        File.id,
        File.lfn,
        File.size,
        File.adler32,
        File.created,
        File.block_id,
        File.condemned_by,
        Dataset.name.label("dataset"),
        Nullable(Block.uuid),
    )
    .join(Dataset, Dataset.id == File.dataset_id)
    .outerjoin(Block, Block.id == File.block_id)
)


def of_dataset(work: Work, dataset: Glob, lfn: Glob | None) -> Listing[FileView]:
    """Return a listing of files of one dataset, or of matching datasets."""
    chosen, keys = within(work, _named(work, lfn), dataset, (File.dataset_id, File.id))
    return Listing.of(FileView, _FILES, chosen, File.id, keys, packed_rows.rows)


def of_block(work: Work, block: BlockName, lfn: Glob | None) -> Listing[FileView]:
    """Return a listing of the files of a block."""
    named = (Dataset.name == block.dataset, Block.uuid == block.id)
    key = work.scalar(select(Block.id).join(Dataset, Dataset.id == Block.dataset_id).where(*named))
    chosen = _named(work, lfn).where(File.block_id == (-1 if key is None else key))
    return Listing.of(FileView, _FILES, chosen, File.id, [File.id], packed_rows.rows)


def _named(work: Work, lfn: Glob | None) -> Select[int]:
    chosen = select(File.id)
    return chosen if lfn is None else chosen.where(fits(work, File.lfn, lfn))


def named(work: Work, lfns: Collection[str]) -> list[FileView]:
    """Return files by name."""
    return work.read(FileView, _FILES.where(File.lfn_hash.in_([lfn_hash(lfn) for lfn in lfns])))


def replicas(work: Work, block_ids: Collection[int]) -> list[BlockAtSite]:
    """Return the replicas of the files' blocks, the oldest first."""
    columns = (
        BlockReplica.id,
        BlockReplica.block_id,
        BlockReplica.site_id,
        BlockReplica.state,
        BlockReplica.complete,
    )
    rows = work.read(BlockAtSite, select(*columns).where(BlockReplica.block_id.in_(block_ids)))
    return sorted(rows, key=lambda row: row.id)


def present(
    work: Work, replica_ids: Collection[int], file_ids: Collection[int]
) -> set[tuple[int, int]]:
    """Return the (replica, file) pairs of incomplete replicas that hold these files."""
    if not replica_ids:
        return set()
    statement = select(ReplicaFile.replica_id, ReplicaFile.file_id).where(
        among(ReplicaFile.file_id, file_ids)
    )
    wanted = set(replica_ids)
    return {row for row in packed_rows.rows(work, statement) if row[0] in wanted}


def transfers(work: Work, file_ids: Collection[int]) -> list[FileOperation]:
    """Return the unfinished transfers of files."""
    if not file_ids:
        return []
    columns = (
        Transfer.file_id,
        Transfer.site_id,
        Transfer.state,
        Transfer.reason,
        Transfer.attempts,
        Transfer.not_before,
    )
    unfinished = Transfer.state.not_in((State.DONE, State.CANCELLED))
    wanted = select(*columns).where(among(Transfer.file_id, file_ids), unfinished)
    return packed_rows.read(work, FileOperation, wanted)


def deletions(work: Work, file_ids: Collection[int]) -> list[FileOperation]:
    """Return the unfinished deletions of files."""
    if not file_ids:
        return []
    columns = (
        Deletion.file_id,
        Deletion.site_id,
        Deletion.state,
        Deletion.reason,
        Deletion.attempts,
        Deletion.not_before,
    )
    unfinished = Deletion.state.not_in((State.DONE, State.CANCELLED))
    wanted = select(*columns).where(among(Deletion.file_id, file_ids), unfinished)
    return packed_rows.read(work, FileOperation, wanted)


def sites(work: Work, site_ids: Collection[int]) -> dict[int, SiteAddress]:
    """Return sites by key, with URL and rules."""
    columns = (Site.id, Site.name, Site.url, Site.rules)
    found = work.read(SiteAddress, select(*columns).where(Site.id.in_(site_ids)))
    return {row.id: row for row in found}
