"""What a copy request is about, as conditions of statements."""

from sqlalchemy import select

from dynamo.db.engine.expressions import Condition, Conditions
from dynamo.db.tables import (
    Block,
    BlockReplica,
    Transfer,
)
from dynamo.services.copies.request import CopyRequest


def of_request(request: CopyRequest) -> Conditions:
    """Return the conditions for blocks that the request is about, also those still filled."""
    mine = (Block.dataset_id == request.dataset.id, Block.condemned_by.is_(None))
    return (*mine, *blocks_of(request))


def blocks_of(request: CopyRequest) -> Conditions:
    """Return the condition for the blocks that the request names; none where it means all."""
    return (Block.uuid.in_(request.blocks),) if request.blocks is not None else ()


def wanted(request: CopyRequest) -> Conditions:
    """Return the conditions for blocks that the request is about; only closed ones are copied."""
    return (*of_request(request), Block.closed.is_(True), Block.n_files > 0)


def at_its_sites(request: CopyRequest) -> Conditions:
    """Return the conditions for such blocks, and their replicas at the sites that are meant."""
    return (*wanted(request), BlockReplica.site_id.in_([site.id for site in request.sites]))


def filling(request: CopyRequest) -> Condition:
    """Return the condition for transfers that fill what a request wants, whoever sent for them."""
    parts = select(BlockReplica.id).join(Block, Block.id == BlockReplica.block_id)
    unfinished = BlockReplica.complete.is_(False)
    return Transfer.replica_id.in_(parts.where(*at_its_sites(request), unfinished))
