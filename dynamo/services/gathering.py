"""Gathering: the scattered replicas leave behind a consolidation, block by block."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import select

from dynamo.db import placing
from dynamo.db.scheduling import Order
from dynamo.db.tables import (
    Block,
    BlockReplica,
    Request,
)
from dynamo.db.work import retried
from dynamo.inventory.states import ReplicaState, RequestState
from dynamo.operations.hints import batches
from dynamo.points import Point, reached
from dynamo.services import guard
from dynamo.services.tools import Tools
from dynamo.services.wishes import Wish, wanted

BLOCKS_AT_ONCE = 20
"""Blocks cleaned up behind in one transaction."""


def clean_up(use: Tools, wish: Wish) -> None:
    """Remove the scattered replicas of blocks that are complete at their new place."""
    for batch in batches(_scattered(use, wish), BLOCKS_AT_ONCE):
        _remove_scattered(use, wish, batch)
        reached(Point.GATHERED)


@retried
def _scattered(use: Tools, wish: Wish) -> list[int]:
    with use.begin.reading() as work:
        return sorted({row.block_id for row in work.rows(leftovers(wish))})


def leftovers(wish: Wish) -> Any:
    """Select valid replicas elsewhere of blocks that are complete at the site.

    Unless another request wants them there.
    """
    home = BlockReplica.__table__.alias("home")
    others = select(Request.id).where(
        Request.id == BlockReplica.request_id,
        Request.id != wish.request_id,
        Request.state != RequestState.CANCELLED,
    )
    return (
        select(BlockReplica.id, BlockReplica.block_id)
        .join(Block, Block.id == BlockReplica.block_id)
        .join(home, home.c.block_id == BlockReplica.block_id)
        .where(
            *wanted(wish),
            home.c.site_id == wish.sites[0].id,
            home.c.complete.is_(True),
            home.c.state == ReplicaState.VALID,
            BlockReplica.site_id != wish.sites[0].id,
            BlockReplica.state == ReplicaState.VALID,
            ~others.where(Request.body["consolidate"].as_boolean().is_(False)).exists(),
        )
    )


@retried
def _remove_scattered(use: Tools, wish: Wish, block_ids: Collection[int]) -> None:
    with use.begin() as work:
        placing.lock_blocks(work, block_ids)
        replicas = work.rows(leftovers(wish).where(BlockReplica.block_id.in_(block_ids)))
        most, leaving = use.settings.deletion.site_bytes, use.settings.dealer.leaving
        order = Order(wish.request_id, "consolidation", "dynamo", most=most, leaving=leaving)
        guard.condemn(work, [row.id for row in replicas], order)
        guard.announce(work, use, wish.request_id)
