"""Cancellation: what has not happened yet is called off; what was done stays."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import func, or_, select, update

from dynamo.db import placing, registry, removal, requests
from dynamo.db.history_log import Event, record
from dynamo.db.scheduling import Order
from dynamo.db.tables import Block, BlockReplica, File, Transfer
from dynamo.db.work import Work, retried
from dynamo.errors import Conflict, NotFound
from dynamo.inventory.callers import Caller
from dynamo.inventory.states import ENDED, ReplicaState, RequestKind, RequestState
from dynamo.operations.life import OPEN, State
from dynamo.services import admission, guard, rescue, users
from dynamo.services.tools import Tools
from dynamo.services.wishes import Directory, made


@retried
def cancel(use: Tools, kind: RequestKind, request_id: int, caller: Caller) -> None:
    """Cancel a request; 409 once it has ended."""
    with use.begin() as work:
        request = requests.get(work, request_id)
        if request is None or request.kind != kind:
            raise NotFound(f"there is no {kind} {request_id}")
        dataset = registry.dataset(work, request.dataset)
        _check_caller(work, request, dataset, caller)
        if kind == RequestKind.DELETION:
            rescue.rescue(work, use, request, dataset)
        elif request.state in ENDED:
            raise Conflict(f"{kind} {request_id} is {request.state} already", "already-ended")
        requests.end(work, request_id, RequestState.CANCELLED)
        if kind != RequestKind.DELETION:
            _CANCEL[kind](work, use, request, caller)
        record(
            work, [Event(f"{kind}-cancelled", caller.name, request.dataset, request_id=request_id)]
        )


def _check_caller(work: Work, request: Any, dataset: Any, caller: Caller) -> None:
    if users.name_of(work, request.owner_id) == caller.name:
        return
    admission.check_owner(
        work, dataset.owner_id if dataset is not None else request.owner_id, caller
    )


# --- injections and copies ----------------------------------------------------------------------


def _cancel_injection(work: Work, use: Tools, request: Any, caller: Caller) -> None:
    """Drop files that have not arrived; their bytes are given back at once."""
    # what a later call has booked anew is that one's
    booked_by = func.coalesce(Transfer.rebooked_by, Transfer.request_id)
    mine = or_(Transfer.request_id == request.id, Transfer.rebooked_by == request.id)
    pending = (mine, booked_by == request.id, Transfer.state.in_((*OPEN, State.FAILED)))
    files = work.rows(
        select(File.id, File.block_id).join(Transfer, Transfer.file_id == File.id).where(*pending)
    )
    placing.lock_blocks(work, {row.block_id for row in files if row.block_id is not None})
    order = Order(request.id, "cancelled", caller.name)
    ids = work.scalars(select(File.id).join(Transfer, Transfer.file_id == File.id).where(*pending))
    removal.drop(work, ids, order)
    guard.announce(work, use, request.id)


def _cancel_copy(work: Work, use: Tools, request: Any, caller: Caller) -> None:
    """Stop copies under way."""
    withdraw(work, use, request, (), caller.name)


def withdraw(work: Work, use: Tools, request: Any, kept: Collection[int], who: str) -> None:
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
    read = select(File.block_id).join(Transfer, Transfer.file_id == File.id).where(waiting)
    blocks = {
        *work.scalars(select(BlockReplica.block_id).where(*unfinished)),
        *work.scalars(read.distinct()),
    }
    if not blocks:
        return
    placing.lock_blocks(work, blocks)
    _bequeath(work, use, request, unfinished)
    replicas = work.scalars(select(BlockReplica.id).where(*unfinished))
    order = Order(request.id, "cancelled", who)
    removal.condemn(work, replicas, order)
    removal.cancel_transfers(work, waiting)
    guard.announce(work, use, request.id)


def _bequeath(work: Work, use: Tools, request: Any, unfinished: Sequence[Any]) -> None:
    """Give what another open request wants as well to that one.

    But not what was given up: that is nobody's any more, and the heir tries it anew.
    """
    dataset = registry.dataset(work, request.dataset)
    copies = requests.concerning(work, [request.dataset], [RequestKind.COPY])[RequestKind.COPY]
    if dataset is None or not copies:
        return
    known = Directory.read(work, use.settings.dealer)
    rows = work.rows(
        select(BlockReplica.id, BlockReplica.site_id, Block.uuid)
        .join(Block, Block.id == BlockReplica.block_id)
        .where(*unfinished)
    )
    for heir in sorted(set(copies) - {request.id}):
        wish = made(requests.get(work, heir), dataset, known)
        sites = {site.id for site in wish.sites}
        ids = [
            row.id
            for row in rows
            if row.site_id in sites and (wish.blocks is None or row.uuid in wish.blocks)
        ]
        new = {"request_id": heir}
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


def _cancel_closure(work: Work, use: Tools, request: Any, caller: Caller) -> None:
    """Nobody waits for it any more; what is closed stays closed."""


_CANCEL = {
    RequestKind.INJECTION: _cancel_injection,
    RequestKind.COPY: _cancel_copy,
    RequestKind.CLOSURE: _cancel_closure,
}
