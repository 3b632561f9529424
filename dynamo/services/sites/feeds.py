"""Feeds: reads documents of other services, each accepted as a whole or refused.

A document that is unreadable, malformed or too old changes nothing: earlier statements stay, and
the health of the service shows the refusal.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from dynamo.db.catalogue import keys
from dynamo.db.engine.unit_of_work import Work, retried
from dynamo.db.sites import downtimes, feeds
from dynamo.db.sites.feeds import FeedRow
from dynamo.db.tables import Downtime, ToldStatus
from dynamo.errors import DynamoError, Invalid
from dynamo.feeds import documents, reading
from dynamo.feeds.documents import Accesses, Demands, Document, Sites
from dynamo.inventory.callers import Caller
from dynamo.inventory.states import SiteStatus
from dynamo.logs import logger
from dynamo.services.context import Context
from dynamo.services.popularity import accesses, demands
from dynamo.services.sites import health as site_health
from dynamo.settings import Feed

log = logger("feeds")

UNREACHABLE = "unreachable"
MALFORMED = "malformed"
STALE = "stale"
_SKEW = timedelta(minutes=10)
"""How far the clock of a feed's writer may be ahead."""


def read(ctx: Context) -> None:
    """Read the due feeds, one after the other."""
    for feed in _due(ctx):
        try:
            content = reading.fetch(
                feed.url, ctx.settings.feeds.max_bytes, ctx.settings.feeds.seconds
            )
            _take(ctx, feed, documents.decode(feed.kind, content))
        except Invalid as error:
            _refuse(ctx, feed.name, MALFORMED, _described(error))
        except DynamoError as error:
            _refuse(ctx, feed.name, UNREACHABLE, error.detail)
    _follow(ctx)


def _described(error: DynamoError) -> str:
    faults = "; ".join(f"{fault.pointer} {fault.detail}" for fault in error.faults[:5])
    return f"{error.detail}: {faults}" if faults else error.detail


@retried
def _due(ctx: Context) -> list[Feed]:
    sources = ctx.settings.feeds.sources
    with ctx.begin() as work:
        names = [feed.name for feed in sources]
        feeds.forget(work, names, [feed.name for feed in _tellers(ctx)])
        before = feeds.known(work)
        return [
            feed
            for feed in sources
            if feed.name not in before
            or before[feed.name].tried <= work.now - timedelta(minutes=feed.every_minutes)
        ]


def _tellers(ctx: Context) -> list[Feed]:
    return [feed for feed in ctx.settings.feeds.sources if feed.kind == "sites"]


@retried
def _follow(ctx: Context) -> None:
    """Apply the statements of accepted feeds to the sites that a feed has set aside."""
    with ctx.begin() as work:
        known = feeds.known(work)
        believed = {feed.name for feed in _tellers(ctx) if _believed(work, feed, known)}
        site_health.follow_told(work, ctx, feeds.statuses(work), believed)


def _believed(work: Work, feed: Feed, known: Mapping[str, FeedRow]) -> bool:
    generated = known[feed.name].generated if feed.name in known else None
    return generated is not None and feed.believes(generated, work.now)


@retried
def _refuse(ctx: Context, name: str, reason: str, detail: str) -> None:
    log.warning("feed not believed", feed=name, reason=reason, detail=detail)
    with ctx.begin() as work:
        feeds.refused(work, name, reason, detail)


@retried
def _take(ctx: Context, feed: Feed, document: Document) -> None:
    """Apply a document if it is young enough, in one unit of work. Raises Invalid."""
    with ctx.begin() as work:
        before = feeds.known(work).get(feed.name)
        doubt = _doubt(work, feed, document.generated, None if before is None else before.generated)
        if doubt is not None:
            log.warning("feed not believed", feed=feed.name, reason=STALE, detail=doubt)
            feeds.refused(work, feed.name, STALE, doubt)
            return
        detail = _take_in(work, feed, document)
        feeds.taken(work, feed.name, document.generated, detail)


def _doubt(work: Work, feed: Feed, generated: datetime, before: datetime | None) -> str | None:
    if generated > work.now + _SKEW:
        return f"it describes {generated:%Y-%m-%dT%H:%M:%SZ}, which is in the future"
    if not feed.believes(generated, work.now):
        return (
            f"it describes {generated:%Y-%m-%dT%H:%M:%SZ}, longer ago than {feed.stale_hours:g} h"
        )
    if before is not None and generated < before:
        return f"it is older than the previous document, of {before:%Y-%m-%dT%H:%M:%SZ}"
    return None


def _take_in(work: Work, feed: Feed, said: Document) -> str | None:
    """Keep what a document says; return what of it was left out."""
    match said:
        case Sites():
            return _sites(work, feed, said)
        case Accesses():
            return _accesses(work, said)
        case Demands():
            return _demands(work, feed, said)


def _sites(work: Work, feed: Feed, document: Sites) -> str | None:
    """Store downtimes and statuses; a status set by an operator stays."""
    if len({site.name for site in document.sites}) < len(document.sites):
        raise Invalid("a site occurs twice")
    existing = downtimes.known_sites(work, [site.name for site in document.sites])
    # of downtimes with the same begin the longest counts
    rows = {
        (existing[site.name], time.begins): {
            "site_id": existing[site.name],
            "begins": time.begins,
            "ends": time.ends,
            "why": time.why,
        }
        for site in document.sites
        if site.name in existing
        for time in sorted(site.downtimes, key=lambda time: time.ends)
    }
    feeds.replace(work, Downtime, feed.name, list(rows.values()))
    statuses_by_site = {
        existing[site.name]: SiteStatus(site.status)
        for site in document.sites
        if site.name in existing and site.status is not None
    }
    statuses = [{"site_id": key, "status": status} for key, status in statuses_by_site.items()]
    feeds.replace(work, ToldStatus, feed.name, statuses)
    aside = [key for key, status in statuses_by_site.items() if status == SiteStatus.WAITROOM]
    site_health.put_aside(work, aside, feed.name)
    return _unknown([site.name for site in document.sites if site.name not in existing], "sites")


def _accesses(work: Work, document: Accesses) -> str | None:
    known = keys.sites(work, (item.site for item in document.accesses))
    datasets = keys.datasets(work, (item.dataset for item in document.accesses))
    usable = [item for item in document.accesses if item.site in known and item.dataset in datasets]
    if usable:
        accesses.take(work, usable)
    return _left_out(len(document.accesses) - len(usable))


def _demands(work: Work, feed: Feed, document: Demands) -> str | None:
    datasets = keys.datasets(work, (item.dataset for item in document.demands))
    usable = [item for item in document.demands if item.dataset in datasets]
    if usable:
        demands.take(work, usable, Caller(feed.name, frozenset()))
    return _left_out(len(document.demands) - len(usable))


def _unknown(names: Sequence[str], noun: str) -> str | None:
    return f"unknown {noun}: {', '.join(names[:10])}"[:1000] if names else None


def _left_out(n: int) -> str | None:
    return f"{n} items of unknown datasets or sites were left out" if n else None
