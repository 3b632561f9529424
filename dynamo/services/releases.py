"""Releases: operations that were held or given up are tried again, as somebody says so."""

from typing import Any

from sqlalchemy import func, select, update

from dynamo.db import breakers, requests
from dynamo.db.history_log import Event, record
from dynamo.db.requests import Tallies
from dynamo.db.streams import UNSENT
from dynamo.db.tables import Dataset, Deletion, File, Request, Site, Transfer
from dynamo.db.work import Work, retried
from dynamo.errors import Forbidden, Invalid, NotFound
from dynamo.inventory import asked
from dynamo.inventory.callers import Caller
from dynamo.inventory.states import ENDED
from dynamo.operations.life import State
from dynamo.services import traffic, users
from dynamo.services.pages import Item
from dynamo.services.tools import Tools

_REST = (State.HELD, State.FAILED)


@retried
def release(use: Tools, wanted: asked.Release, caller: Caller) -> Item:
    """Queue what was held or failed and fits; breakers of a named site close.

    Raises Invalid, NotFound, and Forbidden to all but operators and the request's owner.
    """
    if not any((wanted.request, wanted.site, wanted.dataset)):
        raise Invalid("name a request, a site or a dataset")
    with use.begin() as work:
        _check(work, wanted, caller)
        site = _site(work, wanted.site)
        closed = breakers.close(work, [site]) if site is not None and caller.may_operate else 0
        transfers = _queue(work, Transfer, wanted, site, {"hinted": UNSENT})
        deletions = _queue(work, Deletion, wanted, site, {"hinted": UNSENT})
        traffic.refill(work, use, _requests(work, transfers))
        why = ", ".join(f"{key} {value}" for key, value in _said(wanted).items())
        event = Event("released", caller.name, site=wanted.site, request_id=wanted.request, why=why)
        record(work, [event])
        return {"transfers": len(transfers), "deletions": len(deletions), "breakers": closed}


def _said(wanted: asked.Release) -> dict[str, Any]:
    fields = ("request", "site", "dataset", "reason")
    named = {field: getattr(wanted, field) for field in fields}
    return {field: value for field, value in named.items() if value is not None}


def _check(work: Work, wanted: asked.Release, caller: Caller) -> None:
    if wanted.request is not None:
        row = requests.get(work, wanted.request)
        if row is None:
            raise NotFound(f"there is no request {wanted.request}")
        if not caller.may_operate and users.name_of(work, row.owner_id) != caller.name:
            raise Forbidden(f"request {wanted.request} is not yours")
    elif not caller.may_operate:
        raise Forbidden("operators release by site or dataset; name a request of yours")


def _site(work: Work, name: str | None) -> int | None:
    if name is None:
        return None
    found: int | None = work.scalar(select(Site.id).where(Site.name == name))
    if found is None:
        raise NotFound(f"there is no site {name!r}", "site-unknown")
    return found


def _queue(
    work: Work,
    table: type[Transfer] | type[Deletion],
    wanted: asked.Release,
    site: int | None,
    more: dict[str, Any],
) -> list[int]:
    """Queue operations afresh; those whose request has ended rest in peace."""
    waiting: list[Any] = [
        table.state.in_(_REST) | ((table.state == State.QUEUED) & (table.not_before > work.now)),
        table.reason.is_not(None),
    ]
    if wanted.request is not None:
        waiting.append(table.request_id == wanted.request)
    if site is not None:
        waiting.append(table.site_id == site)
    if wanted.reason is not None:
        waiting.append(table.reason == wanted.reason)
    if wanted.dataset is not None:
        files = select(File.id).join(Dataset, Dataset.id == File.dataset_id)
        waiting.append(table.file_id.in_(files.where(Dataset.name == wanted.dataset)))
    ended = select(Request.id).where(Request.id == table.request_id, Request.state.in_(ENDED))
    ids: list[int] = work.scalars(
        select(table.id).where(*waiting, ~ended.exists()).order_by(table.id).with_for_update()
    )
    _count(work, table, ids)
    values = {
        "state": State.QUEUED,
        "not_before": work.now,
        "attempts": 0,
        "lost": 0,
        "reason": None,
        "error": None,
        "updated": work.now,
        **more,
    }
    for start in range(0, len(ids), 5000):
        some = table.id.in_(ids[start : start + 5000])
        work.changed(update(table).where(some).values(values))
    return ids


def _count(work: Work, table: type[Transfer] | type[Deletion], ids: list[int]) -> None:
    """Those that had failed have not, after all."""
    tallies = Tallies()
    for start in range(0, len(ids), 5000):
        some = (table.id.in_(ids[start : start + 5000]), table.state == State.FAILED)
        counted = select(table.request_id, func.count()).where(*some).group_by(table.request_id)
        for request_id, n in work.rows(counted):
            tallies[request_id].failed -= n
    requests.count(work, tallies)


def _requests(work: Work, transfer_ids: list[int]) -> list[int]:
    found: set[int] = set()
    for start in range(0, len(transfer_ids), 5000):
        some = Transfer.id.in_(transfer_ids[start : start + 5000])
        found |= set(work.scalars(select(Transfer.request_id).where(some).distinct()))
    return sorted(found)
