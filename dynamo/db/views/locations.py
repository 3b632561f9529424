"""Sites where jobs can read data now."""

from collections.abc import Collection
from typing import NamedTuple

from sqlalchemy import Nullable, and_, select

from dynamo.db.catalogue import good_copies
from dynamo.db.engine.unit_of_work import Work
from dynamo.db.tables import Block, BlockReplica, Dataset, Site
from dynamo.inventory.states import SiteKind, SiteStatus


class LocationRow(NamedTuple):
    """A block, and a site where it can be read."""

    dataset: str
    uuid: str | None
    closed: bool | None
    n_files: int | None
    bytes: int | None
    site: str | None


def of(work: Work, names: Collection[str]) -> list[LocationRow]:
    """Return the blocks of datasets, once per good copy on a disk of a ready site.

    One statement for all. A block without such a copy, and a dataset without a block, have one
    row with None in the missing columns.
    """
    good_copy = and_(BlockReplica.block_id == Block.id, good_copies.of_block())
    usable = and_(
        Site.id == BlockReplica.site_id,
        Site.kind == SiteKind.DISK,
        Site.status == SiteStatus.READY,
    )
    return work.read(
        LocationRow,
        select(
            Dataset.name.label("dataset"),
            Nullable(Block.uuid),
            Nullable(Block.closed),
            Nullable(Block.n_files),
            Nullable(Block.bytes),
            Nullable(Site.name.label("site")),
        )
        .select_from(Dataset)
        .outerjoin(Block, Block.dataset_id == Dataset.id)
        .outerjoin(BlockReplica, good_copy)
        .outerjoin(Site, usable)
        .where(Dataset.name.in_(names)),
    )
