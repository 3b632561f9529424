"""Datasets for callers."""

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Nullable, case, func, select

from dynamo.db.catalogue import good_copies
from dynamo.db.engine.expressions import total
from dynamo.db.engine.pagination import Listing, fits
from dynamo.db.engine.unit_of_work import Work
from dynamo.db.tables import Block, BlockReplica, Dataset, Site, User
from dynamo.inventory.globs import Glob
from dynamo.inventory.states import ReplicaState


class DatasetView(NamedTuple):
    """A dataset as callers see it."""

    id: int
    name: str
    owner: str | None
    status: str
    type: str
    is_open: bool
    n_files: int
    bytes: int
    created: datetime
    updated: datetime


class DatasetAtSite(NamedTuple):
    """How much of a dataset is at a site: blocks, complete ones, files, bytes, condemned files."""

    dataset_id: int
    site: str
    blocks: int
    complete: int
    n_files: int
    bytes: int
    condemned: int


_SEEN = select(
    Dataset.id,
    Dataset.name,
    Nullable(User.name.label("owner")),
    Dataset.status,
    Dataset.type,
    Dataset.is_open,
    Dataset.n_files,
    Dataset.bytes,
    Dataset.created,
    Dataset.updated,
).outerjoin(User, User.id == Dataset.owner_id)


def get(work: Work, name: str) -> DatasetView | None:
    """Return a dataset or None."""
    return work.read_one(DatasetView, _SEEN.where(Dataset.name == name))


def key_of(work: Work, name: str) -> int | None:
    """Return a dataset's key, None for an unknown one."""
    return work.scalar(select(Dataset.id).where(Dataset.name == name))


def listing(
    work: Work, name: Glob | None, owner: str | None, status: str | None
) -> Listing[DatasetView]:
    """List datasets by name."""
    chosen = select(Dataset.id)
    if name is not None:
        chosen = chosen.where(fits(work, Dataset.name, name))
    if owner is not None:
        key = select(User.id).where(User.name == owner).scalar_subquery()
        chosen = chosen.where(Dataset.owner_id == key)
    if status is not None:
        chosen = chosen.where(Dataset.status == status)
    return Listing.of(DatasetView, _SEEN, chosen, Dataset.id, [Dataset.name])


def at_sites(work: Work, dataset_ids: Collection[int]) -> list[DatasetAtSite]:
    """Return the valid blocks, complete blocks, files and bytes per dataset and site."""
    valid = BlockReplica.state == ReplicaState.VALID
    return work.read(
        DatasetAtSite,
        select(
            BlockReplica.dataset_id,
            Site.name.label("site"),
            total(case((valid, 1), else_=0)).label("blocks"),
            total(case((good_copies.of_block(), 1), else_=0)).label("complete"),
            total(case((valid, BlockReplica.n_files), else_=0)).label("n_files"),
            total(case((valid, BlockReplica.bytes), else_=0)).label("bytes"),
            total(case((valid, 0), else_=BlockReplica.n_files)).label("condemned"),
        )
        .join(Site, Site.id == BlockReplica.site_id)
        .where(BlockReplica.dataset_id.in_(dataset_ids))
        .group_by(BlockReplica.dataset_id, BlockReplica.site_id, Site.name),
    )


def blocks(work: Work, dataset_ids: Collection[int]) -> dict[int, int]:
    """Return the number of blocks of each dataset."""
    counted = (
        select(Block.dataset_id, func.count())
        .where(Block.dataset_id.in_(dataset_ids))
        .group_by(Block.dataset_id)
    )
    return dict(work.rows(counted))
