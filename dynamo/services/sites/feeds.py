"""Feeding: what others tell in documents of theirs is taken in, whole or not at all.

A document that cannot be read, that is malformed or older than it may be changes nothing: what it
said the last time stays, and health says so.
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
"""How far the clock of who writes a feed may be ahead of ours."""


def read(ctx: Context) -> None:
    """Read the feeds that are due, one after the other."""
    for feed in _due(ctx):
        try:
            content = reading.fetch(
                feed.url, ctx.settings.feeds.max_bytes, ctx.settings.feeds.seconds
            )
            _take(ctx, feed, documents.decode(feed.kind, content))
        except Invalid as error:
            _refuse(ctx, feed.name, MALFORMED, _said(error))
        except DynamoError as error:
            _refuse(ctx, feed.name, UNREACHABLE, error.detail)
    _follow(ctx)


def _said(error: DynamoError) -> str:
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
    """Weigh what all feeds say of the sites that one has put aside; the old ones say nothing."""
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
def _take(ctx: Context, feed: Feed, said: Document) -> None:
    """Take in a document, if it is young enough, in one unit of work. Raises Invalid."""
    with ctx.begin() as work:
        before = feeds.known(work).get(feed.name)
        doubt = _doubt(work, feed, said.generated, None if before is None else before.generated)
        if doubt is not None:
            log.warning("feed not believed", feed=feed.name, reason=STALE, detail=doubt)
            feeds.refused(work, feed.name, STALE, doubt)
            return
        detail = _take_in(work, feed, said)
        feeds.taken(work, feed.name, said.generated, detail)


def _doubt(work: Work, feed: Feed, generated: datetime, before: datetime | None) -> str | None:
    if generated > work.now + _SKEW:
        return f"it describes {generated:%Y-%m-%dT%H:%M:%SZ}, which is to come"
    if not feed.believes(generated, work.now):
        return (
            f"it describes {generated:%Y-%m-%dT%H:%M:%SZ}, longer ago than {feed.stale_hours:g} h"
        )
    if before is not None and generated < before:
        return f"it is older than what was read before, of {before:%Y-%m-%dT%H:%M:%SZ}"
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


def _sites(work: Work, feed: Feed, said: Sites) -> str | None:
    """Keep downtimes and statuses; what an operator has said of a site stays."""
    if len({one.name for one in said.sites}) < len(said.sites):
        raise Invalid("a site stands twice")
    there = downtimes.known_sites(work, [one.name for one in said.sites])
    # of several that begin together the longest counts
    rows = {
        (there[one.name], time.begins): {
            "site_id": there[one.name],
            "begins": time.begins,
            "ends": time.ends,
            "why": time.why,
        }
        for one in said.sites
        if one.name in there
        for time in sorted(one.downtimes, key=lambda time: time.ends)
    }
    feeds.replace(work, Downtime, feed.name, list(rows.values()))
    told = {
        there[one.name]: SiteStatus(one.status)
        for one in said.sites
        if one.name in there and one.status is not None
    }
    statuses = [{"site_id": key, "status": status} for key, status in told.items()]
    feeds.replace(work, ToldStatus, feed.name, statuses)
    aside = [key for key, status in told.items() if status == SiteStatus.WAITROOM]
    site_health.put_aside(work, aside, feed.name)
    return _unknown([one.name for one in said.sites if one.name not in there], "sites")


def _accesses(work: Work, said: Accesses) -> str | None:
    known = keys.sites(work, (one.site for one in said.accesses))
    datasets = keys.datasets(work, (one.dataset for one in said.accesses))
    ours = [one for one in said.accesses if one.site in known and one.dataset in datasets]
    if ours:
        accesses.take(work, ours)
    return _left_out(len(said.accesses) - len(ours))


def _demands(work: Work, feed: Feed, said: Demands) -> str | None:
    datasets = keys.datasets(work, (one.dataset for one in said.demands))
    ours = [one for one in said.demands if one.dataset in datasets]
    if ours:
        demands.take(work, ours, Caller(feed.name, frozenset()))
    return _left_out(len(said.demands) - len(ours))


def _unknown(names: Sequence[str], what: str) -> str | None:
    return f"unknown {what}: {', '.join(names[:10])}"[:1000] if names else None


def _left_out(n: int) -> str | None:
    return f"{n} items of datasets or sites that are unknown here were left out" if n else None
