"""The sweeper: finds work whose hint was lost or whose worker died, and sends hints again."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Protocol, TypeVar

from sqlalchemy import delete, select, update

from dynamo.db import requests
from dynamo.db.catalogue import replicas
from dynamo.db.engine.unit_of_work import Work, retried
from dynamo.db.policies import locks
from dynamo.db.policies import popularity as popularity_rows
from dynamo.db.sites import downtimes
from dynamo.db.tables import Answer, Deletion, Request, Transfer
from dynamo.db.transfers import source_selection, transfers
from dynamo.db.work import claims
from dynamo.db.work.claims import Operation
from dynamo.inventory.states import ENDED, RequestKind, TransferKind
from dynamo.operations.hints import batches, hints
from dynamo.operations.lifecycle import State
from dynamo.points import Point, reached
from dynamo.services import periodic
from dynamo.services.context import Context
from dynamo.services.deletions import condemnation
from dynamo.services.transfers import throttler

BLOCKS_AT_ONCE = 50
AT_ONCE = 10_000
"""Limit of operations per sweep; the next sweep continues."""

_TASKS = {
    RequestKind.INJECTION: "refresh",
    RequestKind.COPY: "plan",
    RequestKind.CLOSURE: "close",
    RequestKind.DELETION: "condemn",
}


def sweep(ctx: Context) -> bool:
    """Send hints for lost work; return False while another sweep runs."""
    if not _begin(ctx):
        return False
    _reroute(ctx)
    _operations(ctx)
    reached(Point.SWEPT)
    _requests(ctx)
    return True


@retried
def _begin(ctx: Context) -> bool:
    with ctx.begin() as work:
        return periodic.take(work, ctx.settings, "sweep")


def _reroute(ctx: Context) -> None:
    """Give transfers without a readable source another source."""
    for stranded in batches(_waiting(ctx, source_selection.stranded), BLOCKS_AT_ONCE):
        _change(ctx, source_selection.reroute, stranded)
    for waiting in batches(_waiting(ctx, source_selection.found_again), BLOCKS_AT_ONCE):
        _change(ctx, source_selection.feed, waiting)


class _OfBlock(Protocol):
    @property
    def block_id(self) -> int: ...


Row = TypeVar("Row", bound=_OfBlock)


@retried
def _waiting(ctx: Context, find: Callable[[Work, int], Sequence[Row]]) -> Sequence[Row]:
    with ctx.begin.reading() as work:
        return find(work, AT_ONCE)


@retried
def _change(
    ctx: Context, change: Callable[[Work, Sequence[Row]], None], rows: Sequence[Row]
) -> None:
    with ctx.begin() as work:
        replicas.lock_blocks(work, {row.block_id for row in rows})
        change(work, rows)


@retried
def _operations(ctx: Context) -> None:
    numbers = ctx.settings.work
    with ctx.begin() as work:
        limits = (ctx.settings.lease.lost, ctx.patience.daily)
        requests.settle_injections(work, _reclaimed(work, Transfer, *limits))
        condemnation.judge_all(work, _reclaimed(work, Deletion, *limits), ctx.again)
        for table in (Transfer, Deletion):
            claims.wake(work, table)
        transfers.wake_where_the_cause_is_gone(work)
        patience = timedelta(seconds=numbers.hint_seconds)
        throttler.sweep(work, ctx)
        due = claims.unhinted(work, Deletion, patience, AT_ONCE)
        work.hint(*hints("delete", due, numbers.batch, "delete {n} files that were due"))


def _reclaimed(work: Work, table: Operation, lost: int, daily: timedelta) -> set[int]:
    """Free the rows of silent workers; return the requests of rows held now."""
    ids = claims.reclaim(work, table, lost, daily)
    wanted = select(table.request_id).where(table.id.in_(ids)).distinct()
    return set(work.scalars(wanted)) if ids else set()


@retried
def _requests(ctx: Context) -> None:
    with ctx.begin() as work:
        due = work.rows(
            select(Request.id, Request.kind)
            .where(Request.state.in_(("queued", "running", "held")), Request.not_before <= work.now)
            .order_by(Request.not_before)
            .limit(AT_ONCE)
        )
        still_open = (Request.id.in_([key for key, _ in due]), Request.state.not_in(ENDED))
        work.changed(update(Request).where(*still_open).values(not_before=work.now + ctx.again))
        for kind, task in _TASKS.items():
            ids = [key for key, of_kind in due if of_kind == kind]
            work.hint(*hints(task, ids, 50, f"{task} {{n}} requests that were due"))


@retried
def purge(ctx: Context) -> int:
    """Delete old finished transfers, answers to keys, locks and popularity; return their number."""
    with ctx.begin() as work:
        old = work.now - timedelta(days=ctx.settings.work.keep_days)
        n = _purge_answers(work, work.now - timedelta(hours=24))
        n += locks.purge(work, old) + popularity_rows.purge(work) + downtimes.forget(work, old)
        ended = select(Request.id).where(Request.state.in_(ENDED), Request.updated < old)
        kept = (
            Transfer.state == State.DONE,
            Transfer.kind != TransferKind.COPY,
            Transfer.updated < old,
        )
        return n + work.changed(delete(Transfer).where(*kept, Transfer.request_id.in_(ended)))


def _purge_answers(work: Work, before: object) -> int:
    return work.changed(delete(Answer).where(Answer.created < before))
