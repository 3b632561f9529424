"""What a copy request is about, as conditions of statements."""

from typing import Any

from sqlalchemy import select

from dynamo.db.tables import (
    Block,
    BlockReplica,
    Transfer,
)
from dynamo.services.copies.request import CopyRequest


def of_request(wish: CopyRequest) -> tuple[Any, ...]:
    """Return the conditions for blocks that the request is about, also those still filled."""
    mine = (Block.dataset_id == wish.dataset.id, Block.condemned_by.is_(None))
    return (*mine, *blocks_of(wish))


def blocks_of(wish: CopyRequest) -> tuple[Any, ...]:
    """Return the condition for the blocks that the request names; none where it means all."""
    return (Block.uuid.in_(wish.blocks),) if wish.blocks is not None else ()


def wanted(wish: CopyRequest) -> tuple[Any, ...]:
    """Return the conditions for blocks that the request is about; only closed ones are copied."""
    return (*of_request(wish), Block.closed.is_(True), Block.n_files > 0)


def at_its_sites(wish: CopyRequest) -> tuple[Any, ...]:
    """Return the conditions for such blocks, and their replicas at the sites that are meant."""
    return (*wanted(wish), BlockReplica.site_id.in_([site.id for site in wish.sites]))


def filling(wish: CopyRequest) -> Any:
    """Return the condition for transfers that fill what a request wants, whoever sent for them."""
    parts = select(BlockReplica.id).join(Block, Block.id == BlockReplica.block_id)
    unfinished = BlockReplica.complete.is_(False)
    return Transfer.replica_id.in_(parts.where(*at_its_sites(wish), unfinished))
