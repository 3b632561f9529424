"""Sending what parts of blocks lack."""

from collections.abc import Collection, Sequence

from sqlalchemy import exists, select
from sqlalchemy.orm import aliased

from dynamo.db import requests
from dynamo.db.catalogue import replicas
from dynamo.db.engine.unit_of_work import Work, retried
from dynamo.db.evacuation import evacuation
from dynamo.db.tables import Block, BlockReplica, File
from dynamo.db.transfers import source_selection
from dynamo.inventory.states import ReplicaState
from dynamo.operations.hints import batches
from dynamo.services.context import Context
from dynamo.services.replication import partial_blocks
from dynamo.services.replication.partial_blocks import (
    ENDED_COPIES,
    PART,
    CompletedBlocks,
    PartialBlockOrder,
    lacks,
)
from dynamo.services.transfers import throttler

PARTS_AT_ONCE = 20


def abandoned(work: Work, site_id: int, dying: Collection[int], most: int) -> list[int]:
    """Return parts at sites that stay whose blocks a dying site takes down with it, one of each.

    Nobody brings what they lack, though it lies somewhere.
    """
    here = aliased(BlockReplica)
    lies = source_selection.lies_elsewhere(work, BlockReplica.site_id)
    lacked = (File.block_id == BlockReplica.block_id, *lacks(ENDED_COPIES), lies)
    rows = work.rows(
        select(BlockReplica.id, BlockReplica.block_id)
        .join(Block, Block.id == BlockReplica.block_id)
        .join(here, here.block_id == BlockReplica.block_id)
        .where(
            here.site_id == site_id,
            here.state == ReplicaState.VALID,
            Block.closed.is_(True),
            Block.condemned_by.is_(None),
            *evacuation.stalled(dying),
            ~evacuation.safe(dying),
            ~evacuation.moving(dying),
            exists().where(*lacked),
        )
        .order_by(BlockReplica.n_files, BlockReplica.id.desc())
        .limit(most)
    )
    # of several parts of a block the fullest comes last
    return sorted({block: part for part, block in rows}.values())


def bring(ctx: Context, request_id: int, replica_ids: Sequence[int]) -> None:
    """Send for what parts lack, whoever gave it up before."""
    for batch in batches(replica_ids, PARTS_AT_ONCE):
        _bring(ctx, request_id, batch)


@retried
def _bring(ctx: Context, request_id: int, replica_ids: Sequence[int]) -> None:
    with ctx.begin() as work:
        send(work, ctx, request_id, replica_ids)


def send(work: Work, ctx: Context, request_id: int, replica_ids: Sequence[int]) -> None:
    """Send for what parts lack within a unit of work, and count it to the request."""
    found = filled(work, ctx, PartialBlockOrder(request_id, waits=True), replica_ids)
    requests.more(work, request_id, found.sent, found.bytes)


def filled(
    work: Work, ctx: Context, order: PartialBlockOrder, replica_ids: Sequence[int]
) -> CompletedBlocks:
    """Send for what some parts lack."""
    blocks = select(BlockReplica.block_id).where(BlockReplica.id.in_(replica_ids), *PART)
    replicas.lock_blocks(work, set(work.scalars(blocks)))
    found = partial_blocks.fill_up(work, order, replica_ids)
    throttler.refill(work, ctx, [order.request_id])
    return found
