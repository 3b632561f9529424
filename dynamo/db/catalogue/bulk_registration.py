"""Registers official data: many datasets, blocks and files in few statements."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from sqlalchemy import NotNullable, case, select, update

from dynamo.db.catalogue.names import lfn_hash
from dynamo.db.engine import bulk_insert, transitions
from dynamo.db.engine.unit_of_work import Work
from dynamo.db.tables import (
    Block,
    BlockReplica,
    Dataset,
    DatasetReplica,
    File,
    ReplicaFile,
    Site,
    Transfer,
)
from dynamo.inventory.states import ReplicaState
from dynamo.operations.hints import batches
from dynamo.operations.lifecycle import OPEN

_CHUNK = 1000
_FEW = 100
"""Batch size where two lists are crossed, as the index is searched for each pair."""

Sizes = dict[int, int]
"""File → bytes."""


K = TypeVar("K", int, str, tuple[int, str])


def _chunks(keys: Iterable[K], size: int = _CHUNK) -> Iterable[Sequence[K]]:
    return batches(sorted(set(keys)), size)


# --- reading -------------------------------------------------------------------------------------


class OfficialRow(NamedTuple):
    """A dataset as it is registered."""

    id: int
    name: str
    owner_id: int | None
    group_id: int | None
    is_open: bool
    status: str


def datasets(work: Work, names: Iterable[str]) -> dict[str, OfficialRow]:
    """Return the existing datasets of these names."""
    columns = (
        Dataset.id,
        Dataset.name,
        Dataset.owner_id,
        Dataset.group_id,
        Dataset.is_open,
        Dataset.status,
    )
    return {
        row.name: row
        for chunk in _chunks(names)
        for row in work.read(OfficialRow, select(*columns).where(Dataset.name.in_(chunk)))
    }


def block_keys(work: Work, wanted: Collection[tuple[int, str]]) -> dict[tuple[int, str], int]:
    """Return the keys of the existing blocks among these, named by dataset and id."""
    keys: dict[tuple[int, str], int] = {}
    for chunk in _chunks(wanted, _FEW):
        sets, uuids = {dataset for dataset, _ in chunk}, {uuid for _, uuid in chunk}
        near = (Block.dataset_id.in_(sets), Block.uuid.in_(uuids))
        rows = work.rows(select(Block.id, Block.dataset_id, Block.uuid).where(*near))
        existing = {(dataset, uuid): block for block, dataset, uuid in rows}
        keys |= {place: existing[place] for place in chunk if place in existing}
    return keys


def files_of(work: Work, block_ids: Iterable[int]) -> dict[int, Sizes]:
    """Return the files of blocks with their sizes."""
    sizes: dict[int, Sizes] = defaultdict(dict)
    for chunk in _chunks(block_ids):
        registered = (File.block_id.in_(chunk), File.condemned_by.is_(None))
        in_blocks = select(NotNullable(File.block_id), File.id, NotNullable(File.size))
        for block, file, size in work.rows(in_blocks.where(*registered)):
            sizes[block][file] = size
    return sizes


class PlacedBlock(NamedTuple):
    """A replica of a block."""

    id: int
    block_id: int
    site_id: int
    partition_id: int
    state: str
    complete: bool


def replicas(work: Work, block_ids: Iterable[int]) -> list[PlacedBlock]:
    """Return the replicas of blocks."""
    columns = (
        BlockReplica.id,
        BlockReplica.block_id,
        BlockReplica.site_id,
        BlockReplica.partition_id,
        BlockReplica.state,
        BlockReplica.complete,
    )
    return [
        row
        for some in _chunks(block_ids)
        for row in work.read(PlacedBlock, select(*columns).where(BlockReplica.block_id.in_(some)))
    ]


def held(work: Work, replica_ids: Iterable[int]) -> dict[int, set[int]]:
    """Return the files of incomplete replicas."""
    files: dict[int, set[int]] = defaultdict(set)
    for chunk in _chunks(replica_ids):
        listed = select(ReplicaFile.replica_id, ReplicaFile.file_id)
        for replica, file in work.rows(listed.where(ReplicaFile.replica_id.in_(chunk))):
            files[replica].add(file)
    return files


def coming(work: Work, replica_ids: Iterable[int]) -> dict[int, set[int]]:
    """Return the files with open transfers to replicas."""
    files: dict[int, set[int]] = defaultdict(set)
    for chunk in _chunks(replica_ids):
        open_ones = (Transfer.replica_id.in_(chunk), Transfer.state.in_(OPEN))
        to_them = select(NotNullable(Transfer.replica_id), Transfer.file_id).where(*open_ones)
        for replica, file in work.rows(to_them):
            files[replica].add(file)
    return files


def hold_sites(work: Work, site_ids: Collection[int]) -> None:
    """Keep sites from getting new quotas until this unit of work ends.

    A new quota would be counted without the data of this unit of work.
    """
    if work.is_mysql:
        locked_sites = select(Site.id).where(Site.id.in_(site_ids)).order_by(Site.id)
        work.rows(locked_sites.with_for_update(read=True))


# --- writing -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NewBlock:
    """A new block, with the counts of its first files."""

    dataset_id: int
    uuid: str
    n_files: int
    bytes: int
    closed: bool


def add_blocks(work: Work, new: Sequence[NewBlock]) -> list[int]:
    """Register blocks; return their keys in the same order."""
    keys: dict[int, int] = {}
    shared: dict[str, object] = {
        "site_id": None,
        "open_key": None,
        "created": work.now,
        "last_file": work.now,
    }
    names = ("dataset_id", "uuid", "n_files", "bytes")
    for closed in (False, True):
        places = [n for n, block in enumerate(new) if block.closed is closed]
        state = {"closed": closed, "closed_at": work.now if closed else None}
        rows = [(new[n].dataset_id, new[n].uuid, new[n].n_files, new[n].bytes) for n in places]
        keys |= dict(
            zip(places, bulk_insert.insert(work, Block, shared | state, names, rows), strict=True)
        )
    return [keys[n] for n in range(len(new))]


NewFile = tuple[int, int, str, int, str | None]
"""Dataset, block, name, bytes, checksum."""


def add_files(work: Work, new: Sequence[NewFile]) -> list[int]:
    """Register files in blocks; return their keys in the same order."""
    rows = [(*file, lfn_hash(file[2])) for file in new]
    names = ("dataset_id", "block_id", "lfn", "size", "adler32", "lfn_hash")
    return bulk_insert.insert(work, File, {"created": work.now, "added": work.now}, names, rows)


def grow_block(work: Work, block_id: int, n_files: int, size: int) -> None:
    """Add files to the counts of an open, locked block."""
    values = {
        "n_files": Block.n_files + n_files,
        "bytes": Block.bytes + size,
        "last_file": work.now,
    }
    work.changed(update(Block).where(Block.id == block_id).values(values))


@dataclass(frozen=True, slots=True)
class NewReplica:
    """A new block replica; a complete one lists no files."""

    block_id: int
    dataset_id: int
    site_id: int
    group_id: int | None
    partition_id: int
    custodial: bool
    files: Sizes
    complete: bool


def add_replicas(work: Work, new: Sequence[NewReplica]) -> None:
    """Insert block replicas."""
    shared = {
        "request_id": None,
        "state": transitions.start(BlockReplica, ReplicaState.VALID),
        "in_use": 0,
        "created": work.now,
        "updated": work.now,
    }
    names = (
        "block_id",
        "dataset_id",
        "site_id",
        "group_id",
        "partition_id",
        "custodial",
        "complete",
        "n_files",
        "bytes",
    )
    rows = [
        (
            replica.block_id,
            replica.dataset_id,
            replica.site_id,
            replica.group_id,
            replica.partition_id,
            replica.custodial,
            replica.complete,
            len(replica.files),
            sum(replica.files.values()),
        )
        for replica in new
    ]
    keys = bulk_insert.insert(work, BlockReplica, shared, names, rows)
    listed = [
        (key, file)
        for key, replica in zip(keys, new, strict=True)
        if not replica.complete
        for file in replica.files
    ]
    bulk_insert.insert(work, ReplicaFile, {}, ("replica_id", "file_id"), listed)


@dataclass(frozen=True, slots=True)
class DatasetPlacement:
    """A dataset at a site; fields of None stay unchanged."""

    dataset_id: int
    site_id: int
    group_id: int | None = None
    growing: bool | None = None


class _Placed(NamedTuple):
    id: int
    dataset_id: int
    site_id: int
    group_id: int | None
    growing: bool


_PLACED = select(
    DatasetReplica.id,
    DatasetReplica.dataset_id,
    DatasetReplica.site_id,
    DatasetReplica.group_id,
    DatasetReplica.growing,
)


def place_datasets(work: Work, wanted: Sequence[DatasetPlacement]) -> None:
    """Insert or change dataset replicas: their group, and whether they grow."""
    existing = {
        (row.dataset_id, row.site_id): row
        for some in _chunks(at.dataset_id for at in wanted)
        for row in work.read(_Placed, _PLACED.where(DatasetReplica.dataset_id.in_(some)))
    }
    fresh = {(at.dataset_id, at.site_id): at for at in wanted}
    rows = [
        (at.dataset_id, at.site_id, at.group_id, bool(at.growing))
        for place, at in fresh.items()
        if place not in existing
    ]
    names = ("dataset_id", "site_id", "group_id", "growing")
    bulk_insert.insert(work, DatasetReplica, {"created": work.now}, names, rows)
    for place, at in fresh.items():
        if place in existing and at.growing not in (None, existing[place].growing):
            values = {"growing": at.growing, "group_id": at.group_id or existing[place].group_id}
            mine = DatasetReplica.id == existing[place].id
            work.changed(update(DatasetReplica).where(mine).values(values))


def grow_datasets(work: Work, changes: Mapping[int, tuple[int, int]]) -> bool:
    """Add files and bytes to many open datasets; return False if one is closed."""
    for chunk in _chunks(changes, _FEW):
        values = {
            "n_files": Dataset.n_files + case({n: changes[n][0] for n in chunk}, value=Dataset.id),
            "bytes": Dataset.bytes + case({n: changes[n][1] for n in chunk}, value=Dataset.id),
            "updated": work.now,
        }
        open_datasets = (Dataset.id.in_(chunk), Dataset.is_open.is_(True))
        if work.changed(update(Dataset).where(*open_datasets).values(values)) < len(chunk):
            return False
    return True


def close_datasets(work: Work, dataset_ids: Collection[int]) -> list[int]:
    """Close datasets; return those that were open."""
    open_datasets = (Dataset.id.in_(dataset_ids), Dataset.is_open.is_(True))
    closed = work.scalars(select(Dataset.id).where(*open_datasets).with_for_update())
    values = {"is_open": False, "updated": work.now}
    work.changed(update(Dataset).where(Dataset.id.in_(closed)).values(values))
    return closed
