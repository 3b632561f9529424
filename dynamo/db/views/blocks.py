"""Blocks and block replicas for callers."""

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Nullable, select

from dynamo.db.engine.pagination import Column, Listing, fits
from dynamo.db.engine.typed_rows import Selection
from dynamo.db.engine.unit_of_work import Work
from dynamo.db.tables import Block, BlockReplica, Dataset, Group, Partition, Site
from dynamo.db.views import datasets
from dynamo.inventory.globs import Glob


class BlockView(NamedTuple):
    """A block as callers see it."""

    id: int
    dataset: str
    uuid: str
    closed: bool
    n_files: int
    bytes: int
    created: datetime
    last_file: datetime
    closed_at: datetime | None
    site: str | None


class ReplicaView(NamedTuple):
    """A block replica as callers see it."""

    id: int
    block_id: int
    dataset: str
    uuid: str
    block_files: int
    block_bytes: int
    site: str
    group: str | None
    partition: str
    state: str
    complete: bool
    custodial: bool
    n_files: int
    bytes: int
    created: datetime
    updated: datetime


_BLOCKS = (
    select(
        Block.id,
        Dataset.name.label("dataset"),
        Block.uuid,
        Block.closed,
        Block.n_files,
        Block.bytes,
        Block.created,
        Block.last_file,
        Block.closed_at,
        Nullable(Site.name.label("site")),
    )
    .join(Dataset, Dataset.id == Block.dataset_id)
    .outerjoin(Site, Site.id == Block.site_id)
)

_REPLICAS = (
    select(
        BlockReplica.id,
        BlockReplica.block_id,
        Dataset.name.label("dataset"),
        Block.uuid,
        Block.n_files.label("block_files"),
        Block.bytes.label("block_bytes"),
        Site.name.label("site"),
        Nullable(Group.name.label("group")),
        Partition.name.label("partition"),
        BlockReplica.state,
        BlockReplica.complete,
        BlockReplica.custodial,
        BlockReplica.n_files,
        BlockReplica.bytes,
        BlockReplica.created,
        BlockReplica.updated,
    )
    .join(Block, Block.id == BlockReplica.block_id)
    .join(Dataset, Dataset.id == BlockReplica.dataset_id)
    .join(Site, Site.id == BlockReplica.site_id)
    .join(Partition, Partition.id == BlockReplica.partition_id)
    .outerjoin(Group, Group.id == BlockReplica.group_id)
)


def listing(work: Work, dataset: Glob | None, uuid: str | None) -> Listing[BlockView]:
    """Return a listing of blocks: of one dataset, of matching datasets, or of all."""
    chosen: Selection = select(Block.id)
    if uuid is not None:
        chosen = chosen.where(Block.uuid == uuid)
    chosen, keys = within(work, chosen, dataset, (Block.dataset_id, Block.uuid))
    return Listing.of(BlockView, _BLOCKS, chosen, Block.id, keys)


def replicas(
    work: Work, dataset: Glob | None, site: Glob | None, group: str | None
) -> Listing[ReplicaView]:
    """Return a listing of block replicas, ordered by the index that the filters use."""
    chosen: Selection = select(BlockReplica.id)
    if group is not None:
        key = select(Group.id).where(Group.name == group).scalar_subquery()
        chosen = chosen.where(BlockReplica.group_id == key)
    order: tuple[Column, ...] = (BlockReplica.site_id, BlockReplica.id)
    if site is not None:
        sites = work.scalars(select(Site.id).where(fits(work, Site.name, site)))
        chosen = chosen.where(BlockReplica.site_id.in_(sites))
        order = order if len(sites) > 1 else (BlockReplica.id,)
    if dataset is not None:
        chosen, keys = within(work, chosen, dataset, (BlockReplica.dataset_id, *order))
    elif len(order) == 1:
        keys = [BlockReplica.partition_id, BlockReplica.id]
    else:
        keys = [BlockReplica.id]
    return Listing.of(ReplicaView, _REPLICAS, chosen, BlockReplica.id, keys)


def replicas_of(work: Work, block_ids: Collection[int]) -> list[ReplicaView]:
    """Return the replicas of blocks, the oldest first."""
    statement = _REPLICAS.where(BlockReplica.block_id.in_(block_ids))
    return sorted(work.read(ReplicaView, statement), key=lambda row: (row.block_id, row.id))


def within(
    work: Work, chosen: Selection, dataset: Glob | None, index: tuple[Column, ...]
) -> tuple[Selection, list[Column]]:
    """Restrict a selection to one dataset or to matching ones; return it and its sort keys.

    `index` are the columns of an index of the table, the dataset first.
    """
    if dataset is None:
        return chosen, list(index)
    if not dataset.exact:
        joined = chosen.join(Dataset, Dataset.id == index[0])
        return joined.where(fits(work, Dataset.name, dataset)), [Dataset.name, *index[1:]]
    key = datasets.key_of(work, dataset.text)
    return chosen.where(index[0] == (-1 if key is None else key)), list(index[1:])
