"""Datasets as callers see them."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import case, func, select

from dynamo.db.catalogue import good_copies
from dynamo.db.engine.pagination import Listing, Selection, fits
from dynamo.db.engine.unit_of_work import Work
from dynamo.db.tables import Block, BlockReplica, Dataset, Site, User
from dynamo.inventory.globs import Glob
from dynamo.inventory.states import ReplicaState

_COLUMNS = (
    Dataset.id,
    Dataset.name,
    User.name.label("owner"),
    Dataset.status,
    Dataset.type,
    Dataset.is_open,
    Dataset.n_files,
    Dataset.bytes,
    Dataset.created,
    Dataset.updated,
)
_SEEN: Selection = select(*_COLUMNS).outerjoin(User, User.id == Dataset.owner_id)


def get(work: Work, name: str) -> Any:
    """Return a dataset's row or None."""
    return work.row(_SEEN.where(Dataset.name == name))


def key_of(work: Work, name: str) -> int | None:
    """Return a dataset's key, None for an unknown one."""
    found = work.scalar(select(Dataset.id).where(Dataset.name == name))
    return None if found is None else int(found)


def listing(work: Work, name: Glob | None, owner: str | None, status: str | None) -> Listing:
    """List datasets by name."""
    chosen: Selection = select(Dataset.id)
    if name is not None:
        chosen = chosen.where(fits(work, Dataset.name, name))
    if owner is not None:
        key = select(User.id).where(User.name == owner).scalar_subquery()
        chosen = chosen.where(Dataset.owner_id == key)
    if status is not None:
        chosen = chosen.where(Dataset.status == status)
    return Listing(_SEEN, chosen, Dataset.id, [Dataset.name])


def at_sites(work: Work, dataset_ids: Collection[int]) -> Sequence[Any]:
    """Return for each dataset and site what is there: blocks, complete ones, files, bytes."""
    valid = BlockReplica.state == ReplicaState.VALID
    return work.rows(
        select(
            BlockReplica.dataset_id,
            Site.name.label("site"),
            func.sum(case((valid, 1), else_=0)).label("blocks"),
            func.sum(case((good_copies.of_block(), 1), else_=0)).label("complete"),
            func.sum(case((valid, BlockReplica.n_files), else_=0)).label("n_files"),
            func.sum(case((valid, BlockReplica.bytes), else_=0)).label("bytes"),
            func.sum(case((valid, 0), else_=BlockReplica.n_files)).label("condemned"),
        )
        .join(Site, Site.id == BlockReplica.site_id)
        .where(BlockReplica.dataset_id.in_(dataset_ids))
        .group_by(BlockReplica.dataset_id, BlockReplica.site_id, Site.name)
    )


def blocks(work: Work, dataset_ids: Collection[int]) -> dict[int, int]:
    """Count the blocks of datasets."""
    counted = (
        select(Block.dataset_id, func.count())
        .where(Block.dataset_id.in_(dataset_ids))
        .group_by(Block.dataset_id)
    )
    return {row[0]: row[1] for row in work.rows(counted)}
