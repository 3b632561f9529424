"""Stopping copies that are under way for a request."""

from collections.abc import Collection

from sqlalchemy import NotNullable, select, update

from dynamo.db import requests
from dynamo.db.catalogue import names as catalogue_names
from dynamo.db.catalogue import replicas as replica_rows
from dynamo.db.deletions import condemnation, dispatch
from dynamo.db.deletions.scheduling import Order
from dynamo.db.engine.expressions import Conditions
from dynamo.db.engine.unit_of_work import Work
from dynamo.db.requests import RequestRow
from dynamo.db.tables import Block, BlockReplica, File, Request, Transfer
from dynamo.inventory.request_bodies import RequestBody
from dynamo.inventory.states import ReplicaState
from dynamo.operations.lifecycle import OPEN, State
from dynamo.services.context import Context
from dynamo.services.copies.request import SiteDirectory, resolved


def withdraw(
    work: Work, ctx: Context, request: RequestRow[RequestBody], kept: Collection[int], who: str
) -> None:
    """Stop copies of a request that are under way to other sites than those that are kept.

    Block replicas that are not complete leave again, complete ones stay; so do those that another
    request waits for as well. Parts that were there before stay as they are.
    """
    unfinished = (
        BlockReplica.request_id == request.id,
        BlockReplica.complete.is_(False),
        BlockReplica.state == ReplicaState.VALID,
        BlockReplica.site_id.not_in(kept),
    )
    # what a worker has in hand still comes
    waiting = (Transfer.request_id == request.id) & Transfer.state.in_((State.QUEUED, State.HELD))
    waiting &= Transfer.site_id.not_in(kept)
    # only files of closed blocks are copied
    read = (
        select(NotNullable(File.block_id))
        .join(Transfer, Transfer.file_id == File.id)
        .where(waiting)
    )
    blocks = {
        *work.scalars(select(BlockReplica.block_id).where(*unfinished)),
        *work.scalars(read.distinct()),
    }
    if not blocks:
        return
    replica_rows.lock_blocks(work, blocks)
    _bequeath(work, ctx, request, unfinished)
    replicas = work.scalars(select(BlockReplica.id).where(*unfinished))
    order = Order(request.id, "cancelled", who)
    condemnation.condemn_replicas(work, replicas, order)
    condemnation.cancel_transfers(work, waiting)
    dispatch.announce(work, request.id, ctx.settings.work.batch)


def _bequeath(
    work: Work, ctx: Context, request: RequestRow[RequestBody], unfinished: Conditions
) -> None:
    """Give what another open request wants as well to that one.

    But not what was given up: that is nobody's any more, and the heir tries it anew.
    """
    dataset = catalogue_names.dataset(work, request.dataset)
    copies = requests.open_copies(work, Request.dataset == request.dataset)
    if dataset is None or not copies:
        return
    known = SiteDirectory.read(work, ctx.settings.dealer)
    rows = work.rows(
        select(BlockReplica.id, BlockReplica.site_id, Block.uuid)
        .join(Block, Block.id == BlockReplica.block_id)
        .where(*unfinished)
    )
    for new_owner in copies:
        if new_owner.id == request.id:
            continue
        wanted = resolved(new_owner, dataset, known)
        sites = {site.id for site in wanted.sites}
        ids = [
            replica
            for replica, site, uuid in rows
            if site in sites and (wanted.blocks is None or uuid in wanted.blocks)
        ]
        new = {"request_id": new_owner.id}
        mine = (BlockReplica.id.in_(ids), BlockReplica.request_id == request.id)
        work.changed(update(BlockReplica).where(*mine).values(new))
        work.changed(
            update(Transfer)
            .where(
                Transfer.replica_id.in_(ids),
                Transfer.request_id == request.id,
                Transfer.state.in_(OPEN),
            )
            .values(new)
        )
