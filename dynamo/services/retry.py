"""Releases: retries held and failed operations when a caller asks for it.

With a request, operations of other requests that it waits for are retried too: its owner sees them
as its problems.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, func, select

from dynamo.db import requests
from dynamo.db.engine import transitions
from dynamo.db.engine.expressions import Condition, Conditions
from dynamo.db.engine.unit_of_work import Work, retried
from dynamo.db.history import Event, record
from dynamo.db.requests import RequestRow, Tallies
from dynamo.db.sites import breakers
from dynamo.db.tables import Dataset, Deletion, File, Request, Transfer
from dynamo.db.transfers.streams import UNSENT
from dynamo.errors import Forbidden, Invalid, NotFound
from dynamo.inventory import schemas
from dynamo.inventory.callers import Caller
from dynamo.inventory.request_bodies import InjectionBody, RequestBody
from dynamo.inventory.states import ENDED, RequestKind, TransferKind
from dynamo.operations.lifecycle import State
from dynamo.services import site_lookup, users
from dynamo.services.context import Context
from dynamo.services.copies import conditions as copy_conditions
from dynamo.services.copies import queries as copy_queries
from dynamo.services.pagination import Item
from dynamo.services.transfers import throttler

_REST = (State.HELD, State.FAILED)


@retried
def release(ctx: Context, wanted: schemas.Release, caller: Caller) -> Item:
    """Queue matching held and failed operations; breakers of a named site close.

    Returns the numbers of operations. Raises Invalid, NotFound, and Forbidden for callers other
    than operators and the request's owner.
    """
    if not any((wanted.request, wanted.site, wanted.dataset)):
        raise Invalid("name a request, a site or a dataset")
    with ctx.begin() as work:
        request = _check(work, wanted, caller)
        site = _site(work, wanted.site)
        closed = breakers.close(work, [site]) if site is not None and caller.may_operate else 0
        carried = [] if request is None else _carried(work, ctx, request)
        transfers = _queue(work, Transfer, wanted, site, [*_own(Transfer, wanted), *carried])
        deletions = _queue(work, Deletion, wanted, site, _own(Deletion, wanted))
        throttler.refill(work, ctx, _requests(work, transfers))
        filters = ", ".join(f"{key} {value}" for key, value in _given(wanted).items())
        event = Event(
            "released", caller.name, site=wanted.site, request_id=wanted.request, why=filters
        )
        record(work, [event])
        return {"transfers": len(transfers), "deletions": len(deletions), "breakers": closed}


def _given(wanted: schemas.Release) -> dict[str, str | int]:
    fields = ("request", "site", "dataset", "reason")
    named = {field: getattr(wanted, field) for field in fields}
    return {field: value for field, value in named.items() if value is not None}


def _check(work: Work, wanted: schemas.Release, caller: Caller) -> RequestRow[RequestBody] | None:
    """Return the named request, if the caller may release it."""
    if wanted.request is not None:
        row = requests.get(work, wanted.request, RequestBody)
        if row is None:
            raise NotFound(f"there is no request {wanted.request}")
        if not caller.may_operate and users.name_of(work, row.owner_id) != caller.name:
            raise Forbidden(f"request {wanted.request} belongs to another user")
        return row
    if not caller.may_operate:
        raise Forbidden("only operators release by site or dataset; name one of your requests")
    return None


def _own(table: type[Transfer] | type[Deletion], wanted: schemas.Release) -> list[Conditions]:
    """Return the conditions for operations of the named request, or for all."""
    return [() if wanted.request is None else (table.request_id == wanted.request,)]


def _carried(work: Work, ctx: Context, request: RequestRow[RequestBody]) -> list[Conditions]:
    """Return the conditions for other requests' transfers that an open request waits for."""
    arrives = Transfer.kind != TransferKind.COPY
    if request.state in ENDED:
        return []
    if isinstance(request.body, InjectionBody):
        return [(Transfer.file_id.in_(request.body.pending), arrives)]
    if request.kind == RequestKind.CLOSURE:
        return [(Transfer.file_id.in_(_files_of(request.dataset)), arrives)]
    copy_request = copy_queries.read_many(work, ctx.settings.dealer, [request.id]).get(request.id)
    return [] if copy_request is None else [(copy_conditions.filling(copy_request),)]


def _files_of(dataset: str) -> Select[int]:
    files = select(File.id).join(Dataset, Dataset.id == File.dataset_id)
    return files.where(Dataset.name == dataset)


def _site(work: Work, name: str | None) -> int | None:
    if name is None:
        return None
    return site_lookup.site(work, name).id


def _queue(
    work: Work,
    table: type[Transfer] | type[Deletion],
    wanted: schemas.Release,
    site: int | None,
    whose: Sequence[Conditions],
) -> list[int]:
    """Queue operations again, except those of ended requests; return their keys.

    `whose` are alternative conditions, each a statement of its own, so that each uses its index.
    """
    waiting: list[Condition] = [
        table.state.in_(_REST) | ((table.state == State.QUEUED) & (table.not_before > work.now)),
        table.reason.is_not(None),
    ]
    if site is not None:
        waiting.append(table.site_id == site)
    if wanted.reason is not None:
        waiting.append(table.reason == wanted.reason)
    if wanted.dataset is not None:
        waiting.append(table.file_id.in_(_files_of(wanted.dataset)))
    ended = select(Request.id).where(Request.id == table.request_id, Request.state.in_(ENDED))
    fitting = select(table.id).where(*waiting, ~ended.exists())
    keys = {key for condition in whose for key in work.scalars(fitting.where(*condition))}
    ids = _locked(work, table, sorted(keys), waiting)
    _count(work, table, ids)
    fresh: dict[str, Any] = {
        "not_before": work.now,
        "attempts": 0,
        "lost": 0,
        "reason": None,
        "error": None,
        "updated": work.now,
        "hinted": UNSENT,
    }
    for start in range(0, len(ids), 5000):
        transitions.move(work, table, ids[start : start + 5000], State.QUEUED, **fresh)
    return ids


def _locked(
    work: Work, table: type[Transfer] | type[Deletion], ids: list[int], waiting: list[Condition]
) -> list[int]:
    """Lock the operations that still wait; return their keys."""
    kept: list[int] = []
    for start in range(0, len(ids), 5000):
        statement = select(table.id).where(table.id.in_(ids[start : start + 5000]), *waiting)
        kept += work.scalars(statement.order_by(table.id).with_for_update())
    return kept


def _count(work: Work, table: type[Transfer] | type[Deletion], ids: list[int]) -> None:
    """Subtract operations from the counts of failed files."""
    tallies = Tallies()
    for start in range(0, len(ids), 5000):
        failed = (table.id.in_(ids[start : start + 5000]), table.state == State.FAILED)
        counted = select(table.request_id, func.count()).where(*failed).group_by(table.request_id)
        for request_id, n in work.rows(counted):
            tallies[request_id].failed -= n
    requests.count(work, tallies)


def _requests(work: Work, transfer_ids: list[int]) -> list[int]:
    requests_: set[int] = set()
    for start in range(0, len(transfer_ids), 5000):
        batch = Transfer.id.in_(transfer_ids[start : start + 5000])
        requests_ |= set(work.scalars(select(Transfer.request_id).where(batch).distinct()))
    return sorted(requests_)
