"""Gathering: the scattered replicas leave behind a consolidation, block by block."""

from collections.abc import Collection

from sqlalchemy import Select, and_, false, or_, select
from sqlalchemy.orm import aliased

from dynamo.db import requests
from dynamo.db.catalogue import good_copies
from dynamo.db.catalogue import replicas as replica_rows
from dynamo.db.deletions import dispatch
from dynamo.db.deletions.scheduling import Order
from dynamo.db.engine.expressions import Condition
from dynamo.db.engine.unit_of_work import Work, retried
from dynamo.db.tables import (
    Block,
    BlockReplica,
    Request,
)
from dynamo.inventory.callers import SYSTEM
from dynamo.inventory.states import ReplicaState, RequestState
from dynamo.operations.hints import batches
from dynamo.points import Point, reached
from dynamo.reasons import Reason
from dynamo.services.context import Context
from dynamo.services.copies.conditions import blocks_of, wanted
from dynamo.services.copies.queries import other_requests
from dynamo.services.copies.request import CopyRequest
from dynamo.services.copies.status import Explanation
from dynamo.services.deletions import guard
from dynamo.services.deletions.guard import Refusals
from dynamo.settings import Dealer

BLOCKS_AT_ONCE = 20
"""Blocks cleaned up behind in one transaction."""

_STAYS = {
    Reason.SWITCHED_OFF: (
        Reason.SWITCHED_OFF,
        "an operator has stopped the deletion of the old copies",
    ),
    Reason.LAST_COPY: (
        Reason.LAST_COPY,
        "the old copies stay while {site} is not ready or to be emptied",
    ),
    Reason.IN_USE: (Reason.WAITING, "the old copies are still read from"),
    Reason.VOLUME_LIMIT: (Reason.WAITING, "the old copies follow when less is leaving their sites"),
}
"""By refusal of the guard; first what a person or a site must change."""


def clean_up(ctx: Context, request: CopyRequest) -> Explanation | None:
    """Remove the scattered replicas of blocks that are complete at their new place.

    Say why some of them stay, where they do.
    """
    refused = set[Reason]()
    for batch in batches(_scattered(ctx, request), BLOCKS_AT_ONCE):
        refused |= set(_remove_scattered(ctx, request, batch).reasons.values())
        reached(Point.GATHERED)
    return next((_stays(one, request) for one in _STAYS if one in refused), None)


def _stays(refusal: Reason, request: CopyRequest) -> Explanation:
    reason, text = _STAYS[refusal]
    return Explanation(reason, text.format(site=request.sites[0].name))


@retried
def _scattered(ctx: Context, request: CopyRequest) -> list[int]:
    with ctx.begin.reading() as work:
        found = work.rows(leftovers(work, request, ctx.settings.dealer))
        return sorted({block for _, block in found})


def leftovers(work: Work, request: CopyRequest, settings: Dealer) -> Select[int, int]:
    """Select valid replicas elsewhere of blocks of which the site has a good copy.

    Unless another request has brought them there, or wants them where they lay before.
    """
    destination = aliased(BlockReplica)
    others = select(Request.id).where(
        Request.id == BlockReplica.request_id,
        Request.id != request.id,
        Request.state != RequestState.CANCELLED,
    )
    return (
        select(BlockReplica.id, BlockReplica.block_id)
        .join(Block, Block.id == BlockReplica.block_id)
        .join(destination, destination.block_id == BlockReplica.block_id)
        .where(
            *wanted(request),
            destination.site_id == request.sites[0].id,
            good_copies.of_block(destination),
            BlockReplica.site_id != request.sites[0].id,
            BlockReplica.state == ReplicaState.VALID,
            ~others.where(requests.not_consolidating()).exists(),
            ~or_(
                false(), *(_wanted_by(other) for other in other_requests(work, settings, request))
            ),
        )
    )


def _wanted_by(other: CopyRequest) -> Condition:
    """Return the condition for replicas that another request wants where they are."""
    here = BlockReplica.site_id.in_([site.id for site in other.sites])
    return and_(here, *blocks_of(other))


@retried
def _remove_scattered(ctx: Context, request: CopyRequest, block_ids: Collection[int]) -> Refusals:
    with ctx.begin() as work:
        replica_rows.lock_blocks(work, block_ids)
        found = leftovers(work, request, ctx.settings.dealer)
        replicas = work.scalars(found.where(BlockReplica.block_id.in_(block_ids)))
        most, leaving = ctx.settings.deletion.site_bytes, ctx.settings.dealer.leaving
        order = Order(request.id, "consolidation", SYSTEM, most=most, leaving=leaving)
        condemned = guard.condemn(work, replicas, order)
        dispatch.announce(work, request.id, ctx.settings.work.batch)
        return condemned.refused
