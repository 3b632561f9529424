"""Completing: where a site has only a part of a block that somebody wants there, the rest is sent.

Such parts were stated of official data, or are left of copies that were given up. Their whole
blocks count against the quota already.
"""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import and_, exists, or_, select

from dynamo.db.engine.expressions import Condition
from dynamo.db.engine.unit_of_work import Work, retried
from dynamo.db.tables import Block, BlockReplica, File, Request, Site, Transfer
from dynamo.inventory.states import ENDED, SiteStatus
from dynamo.operations.hints import batches
from dynamo.operations.lifecycle import State
from dynamo.reasons import Reason
from dynamo.services.context import Context
from dynamo.services.copies.conditions import at_its_sites
from dynamo.services.copies.request import CopyRequest
from dynamo.services.copies.status import Explanation
from dynamo.services.replication import completion
from dynamo.services.replication.completion import PARTS_AT_ONCE
from dynamo.services.replication.partial_blocks import (
    ENDED_COPIES,
    PART,
    CompletedBlocks,
    PartialBlockOrder,
    lacks,
)


def complete(ctx: Context, request: CopyRequest) -> Explanation | None:
    """Send for what parts at the sites of a request lack; say why not, where it cannot be had."""
    parts, key = batches(_parts(ctx, request), PARTS_AT_ONCE), request.id
    lost = sum(_complete(ctx, key, batch).nowhere for batch in parts)
    return (
        Explanation(Reason.NO_SOURCE, f"{lost} files can be read nowhere else now")
        if lost
        else None
    )


@retried
def _parts(ctx: Context, request: CopyRequest) -> Sequence[int]:
    with ctx.begin.reading() as work:
        again = _not_tried_by(work, ctx, request.id)
        return work.scalars(
            select(BlockReplica.id)
            .join(Block, Block.id == BlockReplica.block_id)
            .join(Site, Site.id == BlockReplica.site_id)
            .where(
                *at_its_sites(request),
                *PART,
                Site.status == SiteStatus.READY,
                exists().where(File.block_id == BlockReplica.block_id, *lacks(again)),
            )
            .order_by(BlockReplica.id)
        )


@retried
def _complete(ctx: Context, request_id: int, replica_ids: Sequence[int]) -> CompletedBlocks:
    with ctx.begin() as work:
        order = PartialBlockOrder(request_id, _not_tried_by(work, ctx, request_id))
        return completion.filled(work, ctx, order, replica_ids)


def _not_tried_by(work: Work, ctx: Context, request_id: int) -> Condition:
    """Tell which ended copies a request tries again: none that it has given up itself.

    Of those that others have given up it leaves alone what an open one ends with, unless it was
    filed later: two requests that try again what the other gave up would never end.
    """
    filed = work.scalar(select(Request.created).where(Request.id == request_id)) or work.now
    long_ago = work.now - timedelta(days=ctx.settings.retry.give_up_days)
    over = (
        exists()
        .where(Request.id == Transfer.request_id, Request.state.in_(ENDED))
        .correlate(Transfer)
    )
    old = Transfer.updated <= max(filed, long_ago)
    free = or_(Transfer.state == State.CANCELLED, old, over)
    return and_(ENDED_COPIES, Transfer.request_id != request_id, free)
