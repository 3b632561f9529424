"""Forsaking: what only a dying site has, and has not given out for long, is declared lost.

Time alone proves little: a system that stood still, a clock that was set and a network that is down
on our side look like a site that is silent. So a site is watched, and only time counts in which
others looked and most other sites answered. A site that answers at the last look is not silent.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Nullable, select

from dynamo.clock import rfc3339
from dynamo.db import requests
from dynamo.db.engine import transitions
from dynamo.db.engine.unit_of_work import Work, retried
from dynamo.db.evacuation import evacuation, unreadable, watch_time
from dynamo.db.evacuation.unreadable import Patience, Unread
from dynamo.db.requests import Tallies
from dynamo.db.sites import downtimes, switches
from dynamo.db.tables import Dataset, File, Probe, Site, Transfer
from dynamo.db.views.sites import SiteRow
from dynamo.inventory.callers import SYSTEM
from dynamo.inventory.states import SiteStatus, TransferKind
from dynamo.logs import logger
from dynamo.operations.lifecycle import State
from dynamo.reasons import REFUSED_THERE, Reason
from dynamo.services import site_lookup
from dynamo.services.consistency import repair
from dynamo.services.consistency.repair import LostFile
from dynamo.services.context import Context
from dynamo.services.evacuation import declare_lost
from dynamo.services.evacuation.declare_lost import By
from dynamo.services.pagination import Item

log = logger("evacuation")

AT_ONCE = 200
"""Files that are looked for together."""
ROUNDS = 10
"""So often in one round of an evacuation; the next goes on."""
_DAY = timedelta(days=1)
"""Copies that were held are tried once in it: a longer pause proves no more than that."""
_STOPS = (switches.DELETIONS, switches.CONSISTENCY)
"""Switches that stop it, beside that of the site."""


def forsake(ctx: Context, name: str) -> None:
    """Declare lost what a dying site could not give out in all the time that it was watched."""
    if not ctx.settings.site.lost_days or not _is_due(ctx, name):
        return
    for _ in range(ROUNDS):
        if not _fail_arrivals(ctx, name):
            break
    for _ in range(ROUNDS):
        if not _give_up_some(ctx, name):
            return


def _give_up_some(ctx: Context, name: str) -> bool:
    """Look for some files once more; tell whether there is more to do now."""
    site, found, fails = _unread(ctx, name)
    seen = declare_lost.find_losses(ctx, site, found, fails=fails)
    declare_lost.save(ctx, site, seen.back)
    if fails and (seen.back or seen.answers):
        # it is not silent, so that its silence proves nothing: what it lacks comes out by itself
        log.warning("a dying site answers again", site=name, files=len(seen.back))
        declare_lost.revive(ctx, site)
        return False
    by = By(SYSTEM, lambda work, one: _still(work, ctx, site, one))
    lost = declare_lost.lose(ctx, site, seen.gone, by)
    return lost > 0 and len(found) == AT_ONCE


@retried
def _is_due(ctx: Context, name: str) -> bool:
    """Go on watching a site; tell whether it was watched for long enough."""
    with ctx.begin() as work:
        site = site_lookup.site(work, name)
        if site.status != SiteStatus.MORGUE:
            return False
        hindered = _hindrance(work, ctx, site) is not None
        watched = watch_time.keep(work, site.id, _begun(site), timedelta() if hindered else _DAY)
        return not hindered and watched >= _time(ctx)


@retried
def _fail_arrivals(ctx: Context, name: str) -> bool:
    """Give up some of what was to arrive there and waits for the site; tell whether there is more.

    What a job has left there is lost with the site; it can be injected again elsewhere.
    """
    with ctx.begin() as work:
        site = site_lookup.site(work, name)
        if _hindrance(work, ctx, site) is not None:
            return False
        waiting = (
            Transfer.site_id == site.id,
            Transfer.kind != TransferKind.COPY,
            Transfer.state == State.HELD,
            Transfer.reason.in_(REFUSED_THERE),
            Transfer.created <= work.now - _time(ctx),
        )
        locked = select(Transfer.id).where(*waiting).order_by(Transfer.id).limit(AT_ONCE)
        ids = work.scalars(locked.with_for_update())
        columns = (Transfer.request_id, File.lfn, Dataset.name, File.size)
        rows = work.rows(
            select(*columns)
            .join(File, File.id == Transfer.file_id)
            .join(Dataset, Dataset.id == File.dataset_id)
            .where(Transfer.id.in_(ids))
            .order_by(Transfer.id)
        )
        why = f"{name} does not come back: inject it again at another site"
        failed = {"not_before": None, "reason": Reason.LOST, "error": why, "updated": work.now}
        transitions.move(work, Transfer, ids, State.FAILED, from_=(State.HELD,), **failed)
        tallies = Tallies()
        for request_id, lfn, dataset, size in rows:
            repair.tell_lost(work, LostFile(lfn, dataset, name, size), why)
            tallies[request_id].failed += 1
        requests.count(work, tallies)
        requests.settle_injections(work, {request_id for request_id, *_ in rows})
        return len(ids) == AT_ONCE


@retried
def _unread(ctx: Context, name: str) -> tuple[SiteRow, Sequence[Unread], bool]:
    with ctx.begin.reading() as work:
        site = site_lookup.site(work, name)
        dying = evacuation.dying_ids(work, ctx.settings.dealer.leaving)
        patience = _patience(work, ctx, site.id)
        found = unreadable.for_long(work, site, dying, patience, AT_ONCE)
        return site, found, patience.site_fails


def _still(work: Work, ctx: Context, site: SiteRow, one: Unread) -> bool:
    """Ask again under the lock of its block: a copy may have come, or an operator."""
    now = site_lookup.site(work, site.name)
    if _begun(now) != _begun(site) or _hindrance(work, ctx, now) is not None:
        return False
    dying = evacuation.dying_ids(work, ctx.settings.dealer.leaving)
    patience = _patience(work, ctx, site.id)
    return bool(unreadable.for_long(work, now, dying, patience, 1, File.id == one.file_id))


def _patience(work: Work, ctx: Context, site_id: int) -> Patience:
    """Return since when something must have failed; what is held must be tried on most days."""
    retry, time = ctx.settings.retry, _time(ctx)
    # copies do not grow older than their own limit: others are sent in their place
    oldest = min(time, timedelta(days=retry.give_up_days) / 2)
    return Patience(
        work.now - oldest,
        declare_lost.fails_since(work, site_id, work.now - time),
        work.now - timedelta(hours=ctx.settings.consistency.apart_hours),
        retry.attempts + int(oldest.total_seconds() / retry.daily_seconds / 2),
    )


def _time(ctx: Context) -> timedelta:
    return timedelta(days=ctx.settings.site.lost_days)


def _begun(site: SiteRow) -> datetime:
    return site.since or site.created


def _hindrance(work: Work, ctx: Context, site: SiteRow) -> str | None:
    """Say why nothing at a site is given up now; None = nothing is against it."""
    if site.status != SiteStatus.MORGUE:
        return "only a site in the morgue is"
    if site.id in downtimes.under_way(work):
        return "its downtime is waited for"
    stopped = switches.stopped(work, *_STOPS, switches.of_site(site.name))
    if stopped:
        return f"an operator has stopped {', '.join(stopped)}"
    if not _others_answer(work, ctx, site.id):
        return "most other sites do not answer their probes either"
    return None


def _others_answer(work: Work, ctx: Context, site_id: int) -> bool:
    """Tell whether most other sites are well by probes of late; else it may be our network."""
    lately = (
        work.now - timedelta(minutes=ctx.settings.site.probe_minutes) * ctx.settings.site.probes
    )
    used = (SiteStatus.READY, SiteStatus.WAITROOM)
    rows = work.rows(
        select(Site.status, Nullable(Probe.usable), Nullable(Probe.at))
        .outerjoin(Probe, Probe.site_id == Site.id)
        .where(Site.id != site_id, Site.status.in_(used))
    )
    well = [
        at
        for status, usable, at in rows
        if status == SiteStatus.READY and usable and at is not None and at >= lately
    ]
    return 2 * len(well) > len(rows)


def prospect(work: Work, ctx: Context, site: SiteRow, dying: Collection[int]) -> Item | None:
    """Tell when what cannot be read at a site is given up; None = there is nothing of that kind."""
    if site.id not in dying or not declare_lost.unread(work, ctx, site, dying, 1)[0]:
        return None
    if not ctx.settings.site.lost_days:
        return _told(None, "never by itself, as the settings say: an operator declares it lost")
    hindrance = _hindrance(work, ctx, site)
    if hindrance is not None:
        return _told(None, f"not now: {hindrance}")
    rest = _time(ctx) - watch_time.kept(work, site.id, _begun(site))
    since = declare_lost.failing_since(work, site.id)
    first = work.now + max(rest, timedelta())
    return _told(first if since is None else max(first, since + _time(ctx)), "unless it answers")


def _told(at: datetime | None, detail: str) -> Item:
    return {"at": None if at is None else rfc3339(at), "detail": detail}
