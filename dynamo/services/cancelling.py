"""Cancellation: what has not happened yet is called off; what was done stays."""

from typing import Any

from sqlalchemy import select

from dynamo.db import placing, registry, removal, requests
from dynamo.db.history_log import Event, record
from dynamo.db.scheduling import Order
from dynamo.db.tables import BlockReplica, File, Transfer
from dynamo.db.work import Work, retried
from dynamo.errors import Conflict, NotFound
from dynamo.inventory.callers import Caller
from dynamo.inventory.states import ENDED, ReplicaState, RequestKind, RequestState
from dynamo.operations.life import OPEN, State
from dynamo.services import admission, guard, rescue, users
from dynamo.services.tools import Tools


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
            rescue.rescue(work, request, dataset)
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
    pending = (Transfer.request_id == request.id, Transfer.state.in_((*OPEN, State.FAILED)))
    files = work.rows(
        select(File.id, File.block_id).join(Transfer, Transfer.file_id == File.id).where(*pending)
    )
    placing.lock_blocks(work, {row.block_id for row in files if row.block_id is not None})
    order = Order(request.id, "cancelled", caller.name)
    ids = work.scalars(select(File.id).join(Transfer, Transfer.file_id == File.id).where(*pending))
    removal.drop(work, ids, order)
    guard.announce(work, use, request.id)


def _cancel_copy(work: Work, use: Tools, request: Any, caller: Caller) -> None:
    """Stop copies under way.

    Block replicas that are not complete leave again, complete ones stay.
    """
    unfinished = (
        BlockReplica.request_id == request.id,
        BlockReplica.complete.is_(False),
        BlockReplica.state == ReplicaState.VALID,
    )
    blocks = work.scalars(select(BlockReplica.block_id).where(*unfinished))
    placing.lock_blocks(work, blocks)
    replicas = work.scalars(select(BlockReplica.id).where(*unfinished))
    order = Order(request.id, "cancelled", caller.name)
    removal.condemn(work, replicas, order)
    guard.announce(work, use, request.id)


def _cancel_closure(work: Work, use: Tools, request: Any, caller: Caller) -> None:
    """Nobody waits for it any more; what is closed stays closed."""


_CANCEL = {
    RequestKind.INJECTION: _cancel_injection,
    RequestKind.COPY: _cancel_copy,
    RequestKind.CLOSURE: _cancel_closure,
}
