"""Completing: where a site has only a part of a block that somebody wants there, the rest is sent.

Such parts were stated of official data, or are left of copies that were given up. Their whole
blocks count against the quota already.
"""

from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import and_, exists, or_, select
from sqlalchemy.orm import aliased

from dynamo.db import evacuation, placing, requests, sources
from dynamo.db.tables import Block, BlockReplica, File, Request, Site, Transfer
from dynamo.db.work import Work, retried
from dynamo.inventory.states import ENDED, ReplicaState, SiteStatus
from dynamo.operations.hints import batches
from dynamo.operations.life import State
from dynamo.services import piecing, traffic
from dynamo.services.excusing import Excuse
from dynamo.services.piecing import ENDED_COPIES, PART, Errand, Filled, lacks
from dynamo.services.tools import Tools
from dynamo.services.wishes import Wish, at_its_sites

PARTS_AT_ONCE = 20


def complete(use: Tools, wish: Wish) -> Excuse | None:
    """Send for what parts at the sites of a request lack; say why not, where it cannot be had."""
    parts, key = batches(_parts(use, wish), PARTS_AT_ONCE), wish.request_id
    lost = sum(_complete(use, key, batch).nowhere for batch in parts)
    return Excuse("no-source", f"{lost} files can be read nowhere else now") if lost else None


def abandoned(work: Work, site_id: int, dying: Collection[int], most: int) -> list[int]:
    """Return parts at sites that stay whose blocks a dying site takes down with it, one of each.

    Nobody brings what they lack, though it lies somewhere.
    """
    here = aliased(BlockReplica)
    lies = sources.lies_elsewhere(work, BlockReplica.site_id)
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
    return sorted({row.block_id: row.id for row in rows}.values())


def bring(use: Tools, request_id: int, replica_ids: Sequence[int]) -> None:
    """Send for what parts lack, whoever gave it up before."""
    for batch in batches(replica_ids, PARTS_AT_ONCE):
        _bring(use, request_id, batch)


@retried
def _bring(use: Tools, request_id: int, replica_ids: Sequence[int]) -> None:
    with use.begin() as work:
        send(work, use, request_id, replica_ids)


def send(work: Work, use: Tools, request_id: int, replica_ids: Sequence[int]) -> None:
    """Send for what parts lack within a unit of work, and count it to the request."""
    found = _filled(work, use, Errand(request_id, waits=True), replica_ids)
    requests.more(work, request_id, found.sent, found.bytes)


@retried
def _parts(use: Tools, wish: Wish) -> Sequence[int]:
    with use.begin.reading() as work:
        again = _not_tried_by(work, use, wish.request_id)
        return work.scalars(
            select(BlockReplica.id)
            .join(Block, Block.id == BlockReplica.block_id)
            .join(Site, Site.id == BlockReplica.site_id)
            .where(
                *at_its_sites(wish),
                *PART,
                Site.status == SiteStatus.READY,
                exists().where(File.block_id == BlockReplica.block_id, *lacks(again)),
            )
            .order_by(BlockReplica.id)
        )


@retried
def _complete(use: Tools, request_id: int, replica_ids: Sequence[int]) -> Filled:
    with use.begin() as work:
        errand = Errand(request_id, _not_tried_by(work, use, request_id))
        return _filled(work, use, errand, replica_ids)


def _filled(work: Work, use: Tools, errand: Errand, replica_ids: Sequence[int]) -> Filled:
    """Send for what some parts lack."""
    blocks = select(BlockReplica.block_id).where(BlockReplica.id.in_(replica_ids), *PART)
    placing.lock_blocks(work, set(work.scalars(blocks)))
    found = piecing.fill_up(work, errand, replica_ids)
    traffic.refill(work, use, [errand.request_id])
    return found


def _not_tried_by(work: Work, use: Tools, request_id: int) -> Any:
    """Tell which ended copies a request tries again: none that it has given up itself.

    Of those that others have given up it leaves alone what an open one ends with, unless it was
    filed later: two requests that try again what the other gave up would never end.
    """
    filed = work.scalar(select(Request.created).where(Request.id == request_id)) or work.now
    long_ago = work.now - timedelta(days=use.settings.retry.give_up_days)
    over = (
        exists()
        .where(Request.id == Transfer.request_id, Request.state.in_(ENDED))
        .correlate(Transfer)
    )
    old = Transfer.updated <= max(filed, long_ago)
    free = or_(Transfer.state == State.CANCELLED, old, over)
    return and_(ENDED_COPIES, Transfer.request_id != request_id, free)
