"""Cancellation: the open part of a request is stopped; finished parts stay."""

from sqlalchemy import func, or_, select

from dynamo.db import requests
from dynamo.db.catalogue import names as catalogue_names
from dynamo.db.catalogue import replicas
from dynamo.db.catalogue.names import DatasetRow
from dynamo.db.deletions import condemnation, dispatch
from dynamo.db.deletions.scheduling import Order
from dynamo.db.engine.unit_of_work import Work, retried
from dynamo.db.history import Event, record
from dynamo.db.requests import RequestRow
from dynamo.db.tables import File, Transfer
from dynamo.errors import Conflict, NotFound
from dynamo.inventory.callers import Caller
from dynamo.inventory.request_bodies import RequestBody
from dynamo.inventory.states import ENDED, RequestKind, RequestState
from dynamo.operations.lifecycle import OPEN, State
from dynamo.reasons import Reason
from dynamo.services import authorization, users
from dynamo.services.context import Context
from dynamo.services.copies import withdrawal
from dynamo.services.deletions import rescue


@retried
def cancel(ctx: Context, kind: RequestKind, request_id: int, caller: Caller) -> None:
    """Cancel a request. Raises NotFound, Forbidden, and Conflict once it has ended."""
    with ctx.begin() as work:
        request = requests.locked(work, request_id, RequestBody)
        if request is None or request.kind != kind:
            raise NotFound(f"there is no {kind} {request_id}")
        dataset = catalogue_names.dataset(work, request.dataset)
        _check_caller(work, request, dataset, caller)
        if kind == RequestKind.DELETION:
            rescue.rescue(work, ctx, request, dataset)
        elif request.state in ENDED:
            raise Conflict(f"{kind} {request_id} is {request.state} already", Reason.ALREADY_ENDED)
        requests.end(work, request_id, RequestState.CANCELLED)
        if kind != RequestKind.DELETION:
            _CANCEL[kind](work, ctx, request, caller)
        record(
            work, [Event(f"{kind}-cancelled", caller.name, request.dataset, request_id=request_id)]
        )


def _check_caller(
    work: Work, request: RequestRow[RequestBody], dataset: DatasetRow | None, caller: Caller
) -> None:
    if users.name_of(work, request.owner_id) == caller.name:
        return
    authorization.check_owner(
        work, dataset.owner_id if dataset is not None else request.owner_id, caller
    )


# --- injections and copies ----------------------------------------------------------------------


def _cancel_injection(
    work: Work, ctx: Context, request: RequestRow[RequestBody], caller: Caller
) -> None:
    """Drop files that have not arrived; their bytes are refunded at once."""
    # files that a later call rebooked belong to that call
    booked_by = func.coalesce(Transfer.rebooked_by, Transfer.request_id)
    of_request = or_(Transfer.request_id == request.id, Transfer.rebooked_by == request.id)
    pending = (of_request, booked_by == request.id, Transfer.state.in_((*OPEN, State.FAILED)))
    files = work.rows(
        select(File.id, File.block_id).join(Transfer, Transfer.file_id == File.id).where(*pending)
    )
    replicas.lock_blocks(work, {block for _, block in files if block is not None})
    order = Order(request.id, "cancelled", caller.name)
    ids = work.scalars(select(File.id).join(Transfer, Transfer.file_id == File.id).where(*pending))
    condemnation.drop(work, ids, order)
    dispatch.announce(work, request.id, ctx.settings.work.batch)


def _cancel_copy(
    work: Work, ctx: Context, request: RequestRow[RequestBody], caller: Caller
) -> None:
    """Stop the open transfers."""
    withdrawal.withdraw(work, ctx, request, (), caller.name)


def _cancel_closure(
    work: Work, ctx: Context, request: RequestRow[RequestBody], caller: Caller
) -> None:
    """Do nothing: closed blocks stay closed."""


_CANCEL = {
    RequestKind.INJECTION: _cancel_injection,
    RequestKind.COPY: _cancel_copy,
    RequestKind.CLOSURE: _cancel_closure,
}
