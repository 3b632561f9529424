"""Deletions at work: the only place that calls a storage's delete."""

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

from sqlalchemy import select

from dynamo.db import requests
from dynamo.db.catalogue import replicas
from dynamo.db.deletions import deletions, purge
from dynamo.db.deletions.deletions import ClaimedDeletion
from dynamo.db.engine.unit_of_work import Work, retried
from dynamo.db.requests import Tallies
from dynamo.db.sites import breakers, switches
from dynamo.db.sites.breakers import BreakerKey, Result
from dynamo.db.tables import Deletion, Request
from dynamo.db.transfers import transfers
from dynamo.db.work import claims
from dynamo.db.work.claims import Holder
from dynamo.errors import DynamoError, Invalid, Unavailable
from dynamo.inventory.names import within
from dynamo.inventory.states import RequestKind
from dynamo.logs import logger
from dynamo.operations.breakers import Operation
from dynamo.operations.failures import classify
from dynamo.operations.hints import Hint
from dynamo.operations.lifecycle import after_failure
from dynamo.points import Point, reached
from dynamo.reasons import Reason
from dynamo.services.context import Context
from dynamo.services.deletions import condemnation
from dynamo.services.leases import Heartbeat, LeaseLost, by_turns, keeping
from dynamo.services.transfers import throttler
from dynamo.storage import probe as storage_probe
from dynamo.storage import temporary_names
from dynamo.storage.protocol import Storage

log = logger("deletions")


def run(ctx: Context, ids: Sequence[int]) -> int:
    """Delete those files that are due and free; return how many have gone."""
    return by_turns(ids, ctx.settings.lease, partial(_claim, ctx), partial(_remove, ctx))


def _remove(ctx: Context, holder: Holder, claimed: Sequence[ClaimedDeletion]) -> int:
    reached(Point.DELETION_CLAIMED)
    with keeping(ctx.begin, Deletion, holder, ctx.settings.lease) as heartbeat:
        heartbeat.start([deletion.id for deletion in claimed])
        results = _each(ctx, heartbeat, claimed)
        gone = _record(ctx, holder, results)
    _learn(ctx, results)
    return gone


@dataclass(frozen=True, slots=True)
class _Result:
    claimed: ClaimedDeletion
    failure: DynamoError | None


@retried
def _claim(ctx: Context, ids: Collection[int], holder: Holder) -> list[ClaimedDeletion]:
    with ctx.begin() as work:
        if switches.stopped(work, switches.DELETIONS):
            return []
        free = claims.claim(work, Deletion, deletions.at_working_sites(work, ids), holder)
        return deletions.load(work, free)


def _each(ctx: Context, heartbeat: Heartbeat, claimed: Sequence[ClaimedDeletion]) -> list[_Result]:
    """Delete one after the other; a site that is silent is waited for once."""
    silent: dict[str, DynamoError] = {}
    results = []
    for deletion in claimed:
        known = silent.get(deletion.url)
        result = _Result(deletion, known) if known else _one(ctx, heartbeat, deletion)
        if result is None:
            continue
        results.append(result)
        if result.failure is not None and result.failure.reason is Reason.QUEUE_TIMEOUT:
            silent[deletion.url] = result.failure
    return results


def _one(ctx: Context, heartbeat: Heartbeat, deletion: ClaimedDeletion) -> _Result | None:
    with suppress(LeaseLost):
        try:
            storage = ctx.storages.at(deletion.url, deletion.rules)
            _check_switches(ctx, deletion)
            # asked right before the call: a worker that was frozen must not delete
            # what came after its time
            heartbeat.check(deletion.id)
            storage.delete(deletion.lfn)
            reached(Point.DELETED)
            _discard_upload(storage, deletion, ctx.settings.injection.area)
        except DynamoError as failed:
            tell = log.info if failed.reason is Reason.SWITCHED_OFF else log.warning
            tell(
                "deletion failed",
                deletion=deletion.id,
                lfn=deletion.lfn,
                reason=failed.reason,
                detail=failed.detail,
            )
            return _Result(deletion, failed)
        return _Result(deletion, None)
    return None


@retried
def _check_switches(ctx: Context, deletion: ClaimedDeletion) -> None:
    """Raise Unavailable where an operator has stopped this: it acts from one file to the next."""
    with ctx.begin.reading() as work:
        if switches.stopped(work, switches.DELETIONS, switches.of_site(deletion.site)):
            raise Unavailable("an operator has stopped it", Reason.SWITCHED_OFF)


def _discard_upload(storage: Storage, deletion: ClaimedDeletion, area: str) -> None:
    """Remove what a job wrote under its temporary name and what was taken from there."""
    if deletion.upload is not None:
        storage.discard(deletion.upload)
        storage.discard(temporary_names.adopted(area, deletion.upload))


def delete_probe(storage: Storage, lfn: str) -> bool:
    """Delete a probe; refuses any other name. Raises Invalid."""
    if lfn.split("/")[-2] != storage_probe.FOLDER:
        raise Invalid(f"{lfn!r} is not the name of a probe", Reason.NAME_INVALID)
    return storage.delete(lfn)


def delete_quarantined(storage: Storage, name: str, quarantine: str) -> bool:
    """Delete a file from the quarantine; refuses any other name. Raises Invalid."""
    if not within(name, quarantine):
        raise Invalid(f"{name!r} does not lie in {quarantine}", Reason.NAME_INVALID)
    return storage.delete(name)


@retried
def _record(ctx: Context, holder: Holder, results: Sequence[_Result]) -> int:
    with ctx.begin() as work:
        replicas.lock_blocks(
            work, {r.claimed.block_id for r in results if r.claimed.block_id is not None}
        )
        mine = claims.held_by(
            work, Deletion, {r.claimed.id: r.claimed.lease_no for r in results}, holder
        )
        ours = [result for result in results if result.claimed.id in mine]
        gone = [result.claimed for result in ours if result.failure is None]
        for result in ours:
            if result.failure is not None:
                _put_back(work, ctx, result.claimed, result.failure)
        purge.gone(work, gone)
        _count(work, gone)
        transfers.wake_at(work, {claimed.site_id for claimed in gone})
        _settle_requests(work, ctx, {result.claimed.request_id for result in ours})
        failed = {result.claimed.request_id for result in ours if result.failure is not None}
        condemnation.judge_all(work, failed, ctx.again)
        return len(gone)


@retried
def _learn(ctx: Context, results: Sequence[_Result]) -> None:
    """Count how it went, so that a site that keeps failing is left alone for a while."""
    told: dict[BreakerKey, Result] = {}
    for result in results:
        if result.failure is not None and result.failure.reason is Reason.SWITCHED_OFF:
            continue  # says nothing of the site
        place, failure = (result.claimed.site_id, Operation.DELETE), result.failure
        before = told.get(place, Result())
        told[place] = (
            replace(before, done=before.done + 1)
            if failure is None
            else Result(before.done, before.failed + 1, failure.reason, failure.detail)
        )
    with ctx.begin() as work:
        again = breakers.count(work, told, throttler.rules(ctx), ctx.dice)
        deletions.wake(work, {site for site, _ in again})


def _put_back(work: Work, ctx: Context, claimed: ClaimedDeletion, failure: DynamoError) -> None:
    reason = classify(failure.reason, failure.detail)
    verdict = after_failure(reason, claimed.attempts, work.now, ctx.patience, ctx.dice)
    claims.put_back(work, Deletion, claimed.id, verdict, reason, failure.detail)


def _count(work: Work, gone: Sequence[ClaimedDeletion]) -> None:
    tallies = Tallies()
    for claimed in gone:
        if claimed.request_kind == RequestKind.DELETION:
            tallies[claimed.request_id].done += 1
            tallies[claimed.request_id].bytes_done += claimed.bytes
    requests.count(work, tallies)


def _settle_requests(work: Work, ctx: Context, request_ids: set[int]) -> None:
    """End deletions with nothing left to delete.

    Tell copies that clean up behind them to look again.
    """
    left = set(
        work.scalars(
            select(Deletion.request_id).where(Deletion.request_id.in_(request_ids)).distinct()
        )
    )
    for request_id, kind in work.rows(
        select(Request.id, Request.kind)
        .where(Request.id.in_(request_ids - left))
        .order_by(Request.id)
    ):
        if kind == RequestKind.DELETION:
            condemnation.judge(work, request_id, ctx.again)
        elif kind == RequestKind.COPY:
            work.hint(Hint("plan", (request_id,), f"see whether request {request_id} has ended"))
