"""Health of sites: failing or down sites are set aside, and come back automatically.

A site that an operator set aside stays there. A site that is aside for too long moves to the
morgue.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

from sqlalchemy import select, update

from dynamo.db.engine.expressions import Condition, Conditions
from dynamo.db.engine.unit_of_work import Work, retried
from dynamo.db.history import Event, record
from dynamo.db.sites import breakers, downtimes, sites
from dynamo.db.sites.feeds import StatusRow
from dynamo.db.snapshots import occupancy
from dynamo.db.tables import Probe, Site
from dynamo.inventory.callers import SYSTEM
from dynamo.inventory.states import SiteStatus
from dynamo.logs import logger
from dynamo.operations.hints import Hint
from dynamo.services.context import Context
from dynamo.services.sites import probes as site_probes
from dynamo.storage.probe import NEEDED, Outcome, ProbeStep, is_usable

log = logger("tending")

PROBES = "probes"
DOWNTIME = "downtime"
FEED = "feed"
TIME = "time"
"""Sources of a site's status, besides operators."""
_PROBED = (SiteStatus.READY, SiteStatus.WAITROOM)


class _Site(NamedTuple):
    id: int
    name: str
    status: str
    set_by: str | None


_SITES = select(Site.id, Site.name, Site.status, Site.set_by)


def send(ctx: Context) -> None:
    """Send hints for the due probes of all sites, one each, as a site may be silent."""
    _send(ctx)


@retried
def _send(ctx: Context) -> None:
    with ctx.begin() as work:
        latest = work.now - timedelta(minutes=ctx.settings.site.probe_minutes / 2)
        due = (
            select(Site.id, Site.name)
            .outerjoin(Probe, Probe.site_id == Site.id)
            .where(Site.status.in_(_PROBED), Probe.at.is_(None) | (Probe.at <= latest))
            .order_by(Site.id)
        )
        for key, name in work.rows(due):
            work.hint(Hint("probe", (key,), f"probe {name}"))


def probe(ctx: Context, site_ids: Sequence[int]) -> None:
    """Probe sites, record the results, and set aside sites that failed repeatedly."""
    for site_id in site_ids:
        steps = site_probes.probe(ctx, site_id)
        # a storage that does not answer is not asked again
        note(ctx, site_id, steps, site_probes.free(ctx, site_id) if is_usable(steps) else None)


@retried
def note(ctx: Context, site_id: int, steps: Sequence[ProbeStep], free: int | None) -> None:
    """Record a probe; enough equal results in a row change the site's status."""
    usable = is_usable(steps)
    failed = next(
        (step for step in steps if step.name in NEEDED and step.outcome is Outcome.FAILED), None
    )
    with ctx.begin() as work:
        site = _locked(work, site_id)
        before = work.row(select(Probe.usable, Probe.streak).where(Probe.site_id == site_id))
        was_usable, times = before or (usable, 0)
        streak = times + 1 if was_usable == usable else 1
        detail = None if failed is None else f"{failed.name}: {failed.detail}"[:1000]
        values = {
            "at": work.now,
            "usable": usable,
            "streak": streak,
            "reason": None if failed is None else failed.reason,
            "detail": detail,
            "free": free,
            "used": occupancy.used(work, site_id),
        }
        if before is None:
            work.add(Probe, site_id=site_id, **values)
        else:
            work.changed(update(Probe).where(Probe.site_id == site_id).values(values))
        if streak >= ctx.settings.site.probes:
            _follow(work, site, usable, detail)


def _follow(work: Work, site: _Site, usable: bool, detail: str | None) -> None:  # noqa: FBT001 - a result
    if not usable and site.status == SiteStatus.READY:
        _set(work, site, _Change(SiteStatus.WAITROOM, PROBES, f"failed its probes: {detail}"))
    elif usable and site.status == SiteStatus.WAITROOM and site.set_by == PROBES:
        _set(work, site, _Change(SiteStatus.READY, None, "its probes succeed again"))


@dataclass(frozen=True, slots=True)
class _Change:
    status: SiteStatus
    set_by: str | None
    why: str


def tend(ctx: Context) -> None:
    """Follow downtimes, and move sites to the morgue that failed their probes for too long."""
    _follow_downtimes(ctx)
    _give_up_failing(ctx)


@retried
def _follow_downtimes(ctx: Context) -> None:
    with ctx.begin() as work:
        down = downtimes.under_way(work)
        begun = (Site.status == SiteStatus.READY, Site.id.in_(down))
        for site in _locked_where(work, *begun):
            _set(work, site, _Change(SiteStatus.WAITROOM, DOWNTIME, "a downtime began"))
        aside = (Site.status == SiteStatus.WAITROOM, Site.set_by == DOWNTIME)
        for site in _locked_where(work, *aside, Site.id.not_in(down)):
            _set(work, site, _Change(SiteStatus.READY, None, "the downtime is over"))


def put_aside(work: Work, site_ids: Sequence[int], feed: str) -> None:
    """Set aside the ready ones of these sites, for a feed."""
    for site in _locked_where(work, Site.id.in_(site_ids), Site.status == SiteStatus.READY):
        _set(work, site, _Change(SiteStatus.WAITROOM, FEED, f"the feed {feed} reports it"))


def follow_told(
    work: Work, ctx: Context, statements: Sequence[StatusRow], believed: Collection[str]
) -> None:
    """Bring back sites that a feed set aside, once no accepted feed keeps them there.

    A site moves to the morgue only while an accepted feed keeps it aside. An outdated feed neither
    keeps a site aside against another feed nor brings it back; without statements, probes decide.
    """
    current = [row for row in statements if row.source in believed]
    kept = {row.site_id for row in current if row.status == SiteStatus.WAITROOM}
    ready = {row.site_id: row.source for row in current if row.status == SiteStatus.READY}
    doubtful = {row.site_id for row in statements if row.status == SiteStatus.WAITROOM}
    aside = (Site.status == SiteStatus.WAITROOM, Site.set_by == FEED)
    for site in _locked_where(work, *aside, Site.id.not_in(kept)):
        if site.id in ready:
            _set(
                work, site, _Change(SiteStatus.READY, None, f"the feed {ready[site.id]} reports it")
            )
        elif site.id not in doubtful:
            why = "no feed reports it any more: its probes decide"
            _set(work, site, _Change(SiteStatus.WAITROOM, PROBES, why))
    _give_up(work, ctx, (Site.id.in_(kept), Site.set_by == FEED))


@retried
def _give_up_failing(ctx: Context) -> None:
    with ctx.begin() as work:
        _give_up(work, ctx, (Site.set_by == PROBES,))


def _give_up(work: Work, ctx: Context, which: Conditions) -> None:
    """Move sites to the morgue that are aside for too long, unless they are down."""
    days = ctx.settings.site.morgue_days
    if days == 0:
        return
    aside = (
        *which,
        Site.status == SiteStatus.WAITROOM,
        Site.since <= work.now - timedelta(days=days),
        Site.id.not_in(downtimes.under_way(work)),
    )
    for site in _locked_where(work, *aside):
        why = f"it was in the waitroom for {days:g} days"
        _set(work, site, _Change(SiteStatus.MORGUE, TIME, why))


def _locked(work: Work, site_id: int) -> _Site:
    return work.read_existing(_Site, _SITES.where(Site.id == site_id).with_for_update())


def _locked_where(work: Work, *which: Condition) -> list[_Site]:
    """Lock the sites that match, and still match once they are locked.

    An operator may have changed a site while its lock was waited for.
    """
    keys = work.scalars(select(Site.id).where(*which).order_by(Site.id))
    locked = _SITES.where(Site.id.in_(keys), *which).order_by(Site.id)
    return work.read(_Site, locked.with_for_update()) if keys else []


def _set(work: Work, site: _Site, change: _Change) -> None:
    values = {"status": change.status, "since": work.now, "set_by": change.set_by}
    sites.change(work, site.id, values)
    record(work, [Event("site-changed", SYSTEM, site=site.name, why=_described(change))])
    log.warning("site changed", site=site.name, status=change.status, why=change.why)
    if change.status == SiteStatus.READY:
        breakers.close(work, [site.id])
        sites.wake_back(work, site.id)
    if change.status == SiteStatus.MORGUE:
        work.hint(Hint("evacuate", (), f"empty {site.name}"))


def _described(change: _Change) -> str:
    return f"status: {change.status}, as {change.why}"[:1000]
