"""Block replicas.

Their sites, files, completeness, and the transfers that read from them.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import Select, bindparam, delete, select, update

from dynamo.db.engine import transitions
from dynamo.db.engine.expressions import Conditions
from dynamo.db.engine.unit_of_work import Again, Work
from dynamo.db.tables import Block, BlockReplica, Dataset, DatasetReplica, ReplicaFile, Site
from dynamo.inventory.states import ReplicaState

_REPLICA = select(BlockReplica.id, BlockReplica.state).where(
    BlockReplica.block_id == bindparam("of_block"), BlockReplica.site_id == bindparam("at_site")
)


@dataclass(frozen=True, slots=True)
class Destination:
    """The site, partition and owner of new block replicas of a dataset."""

    dataset_id: int
    site_id: int
    partition_id: int
    group_id: int | None
    request_id: int | None = None
    """The copy request; None for injected data."""


def place(work: Work, destination: Destination, block_id: int) -> int:
    """Return the block's replica at a site; a missing one is made.

    Raises Again while the replica is being deleted.
    """
    wanted = {"of_block": block_id, "at_site": destination.site_id}
    replica, state = work.row(_REPLICA, wanted) or (None, None)
    if state == ReplicaState.CONDEMNED:
        raise Again("the replica is being deleted")
    if replica is not None:
        return replica
    place_all(work, destination, [block_id])
    return work.value(_REPLICA, wanted)


def place_all(work: Work, destination: Destination, block_ids: Sequence[int]) -> None:
    """Insert empty replicas of blocks at a site."""
    if not work.scalar(select(DatasetReplica.id).where(*_dataset_at(destination))):
        work.add(
            DatasetReplica,
            dataset_id=destination.dataset_id,
            site_id=destination.site_id,
            group_id=destination.group_id,
            growing=False,
            created=work.now,
        )
    row: dict[str, object] = {
        "dataset_id": destination.dataset_id,
        "site_id": destination.site_id,
        "group_id": destination.group_id,
        "partition_id": destination.partition_id,
        "request_id": destination.request_id,
        "custodial": False,
        "state": transitions.start(BlockReplica, ReplicaState.VALID),
        "n_files": 0,
        "bytes": 0,
        "complete": False,
        "in_use": 0,
        "created": work.now,
        "updated": work.now,
    }
    work.insert(BlockReplica, [{**row, "block_id": block_id} for block_id in block_ids])


class LockedBlock(NamedTuple):
    """A block about whose replicas something is decided."""

    id: int
    dataset_id: int
    uuid: str
    closed: bool
    n_files: int
    bytes: int
    condemned_by: int | None


def lock_blocks(work: Work, block_ids: Collection[int]) -> dict[int, LockedBlock]:
    """Lock blocks in a fixed order, before decisions about their replicas.

    Return them by key.
    """
    columns = (
        Block.id,
        Block.dataset_id,
        Block.uuid,
        Block.closed,
        Block.n_files,
        Block.bytes,
        Block.condemned_by,
    )
    locked = select(*columns).where(Block.id.in_(block_ids)).order_by(Block.id).with_for_update()
    return {row.id: row for row in work.read(LockedBlock, locked)}


def arrive(work: Work, files: Mapping[int, Sequence[tuple[int, int]]]) -> None:
    """Record files as present.

    `files`: replica → (file, size in bytes). The caller has locked the blocks.
    """
    work.insert(
        ReplicaFile,
        [
            {"replica_id": replica, "file_id": file}
            for replica, arrived in files.items()
            for file, _ in arrived
        ],
    )
    for replica in sorted(files):
        count, size = len(files[replica]), sum(size for _, size in files[replica])
        work.changed(
            update(BlockReplica)
            .where(BlockReplica.id == replica)
            .values(
                n_files=BlockReplica.n_files + count,
                bytes=BlockReplica.bytes + size,
                updated=work.now,
            )
        )


class CompletedReplica(NamedTuple):
    """A replica that has just become complete."""

    id: int
    block_id: int
    site_id: int
    dataset_id: int


def settle(work: Work, block_ids: Collection[int]) -> list[CompletedReplica]:
    """Complete the replicas that hold all files of a closed block, and return them.

    A complete replica lists no files: fifty million files at three sites must not need as many
    rows. The caller has locked the blocks, so none of them grows or closes meanwhile.
    """
    ready = work.read(
        CompletedReplica,
        select(
            BlockReplica.id, BlockReplica.block_id, BlockReplica.site_id, BlockReplica.dataset_id
        )
        .join(Block, Block.id == BlockReplica.block_id)
        .where(
            Block.id.in_(block_ids),
            Block.closed.is_(True),
            Block.condemned_by.is_(None),
            BlockReplica.complete.is_(False),
            BlockReplica.state == ReplicaState.VALID,
            BlockReplica.n_files == Block.n_files,
        ),
    )
    ids = [row.id for row in ready]
    if ids:
        work.changed(
            update(BlockReplica)
            .where(BlockReplica.id.in_(ids))
            .values(complete=True, updated=work.now)
        )
        work.changed(delete(ReplicaFile).where(ReplicaFile.replica_id.in_(ids)))
    return ready


def pin(work: Work, changes: Mapping[int, int]) -> None:
    """Change the number of open transfers that read from each replica."""
    for replica in sorted(changes):
        if changes[replica]:
            work.changed(
                update(BlockReplica)
                .where(BlockReplica.id == replica)
                .values(in_use=BlockReplica.in_use + changes[replica])
            )


def forget_dataset_replicas(
    work: Work, dataset_ids: Collection[int], site_ids: Collection[int]
) -> None:
    """Delete dataset replicas without block replicas."""
    remaining = select(BlockReplica.id).where(
        BlockReplica.dataset_id == DatasetReplica.dataset_id,
        BlockReplica.site_id == DatasetReplica.site_id,
    )
    work.changed(
        delete(DatasetReplica).where(
            DatasetReplica.dataset_id.in_(dataset_ids),
            DatasetReplica.site_id.in_(site_ids),
            ~remaining.exists(),
        )
    )


def _dataset_at(destination: Destination) -> Conditions:
    return (
        DatasetReplica.dataset_id == destination.dataset_id,
        DatasetReplica.site_id == destination.site_id,
    )


class ReplicaRow(NamedTuple):
    """A replica, with the names of its block, dataset and site."""

    id: int
    block_id: int
    dataset_id: int
    site_id: int
    partition_id: int
    n_files: int
    bytes: int
    block_bytes: int
    uuid: str
    dataset: str
    site: str


def described() -> Select[int, int, int, int, int, int, int, int, str, str, str]:
    """Return a statement for replicas with the names of their block, dataset and site."""
    columns = (
        BlockReplica.id,
        BlockReplica.block_id,
        BlockReplica.dataset_id,
        BlockReplica.site_id,
        BlockReplica.partition_id,
        BlockReplica.n_files,
        BlockReplica.bytes,
        Block.bytes.label("block_bytes"),
        Block.uuid,
        Dataset.name.label("dataset"),
        Site.name.label("site"),
    )
    return (
        select(*columns)
        .join(Block, Block.id == BlockReplica.block_id)
        .join(Dataset, Dataset.id == BlockReplica.dataset_id)
        .join(Site, Site.id == BlockReplica.site_id)
        .order_by(BlockReplica.id)
    )
