"""Feeds in rows: when each was last read, whether it was believed, what it says of sites."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import delete, select, update

from dynamo.db.engine.unit_of_work import Work
from dynamo.db.tables import Downtime, Feed, ToldStatus

Values = Mapping[str, object]


class FeedRow(NamedTuple):
    """What became of a feed when it was last read."""

    name: str
    tried: datetime
    taken: datetime | None
    generated: datetime | None
    reason: str | None
    detail: str | None


_FEEDS = select(
    Feed.name, Feed.tried, Feed.taken, Feed.generated, Feed.reason, Feed.detail
).order_by(Feed.name)


def known(work: Work) -> dict[str, FeedRow]:
    """Return what became of each feed."""
    return {row.name: row for row in work.read(FeedRow, _FEEDS)}


def taken(work: Work, name: str, generated: datetime, detail: str | None) -> None:
    """Note that a feed was believed."""
    _put(
        work,
        name,
        {"taken": work.now, "generated": generated, "reason": None, "detail": detail},
    )


def refused(work: Work, name: str, reason: str, detail: str) -> None:
    """Note that a feed was not believed; what it said before stays."""
    _put(work, name, {"reason": reason, "detail": detail[:1000]})


def _put(work: Work, name: str, values: Values) -> None:
    row = {"tried": work.now, **values}
    if not work.changed(update(Feed).where(Feed.name == name).values(row)):
        work.insert(Feed, [{"name": name, **row}])


def forget(work: Work, names: Collection[str], tellers: Collection[str]) -> None:
    """Forget feeds that are not read any more, and what those said of sites that tell none."""
    work.changed(delete(Feed).where(Feed.name.not_in(names)))
    for table in (Downtime, ToldStatus):
        work.changed(delete(table).where(table.source.not_in(tellers)))


def replace(
    work: Work,
    table: type[Downtime | ToldStatus],
    source: str,
    rows: Sequence[Values],
) -> None:
    """Take what one feed says of sites now instead of all that it said before."""
    work.changed(delete(table).where(table.source == source))
    work.insert(table, [{**row, "source": source} for row in rows])


class StatusRow(NamedTuple):
    """What a feed said last of the status of a site."""

    site_id: int
    source: str
    status: str


def statuses(work: Work) -> list[StatusRow]:
    """Return what each feed said last of the status of each site."""
    columns = (ToldStatus.site_id, ToldStatus.source, ToldStatus.status)
    return work.read(StatusRow, select(*columns).order_by(ToldStatus.source))


def doubtful(work: Work) -> list[FeedRow]:
    """Return the feeds that were not believed the last time."""
    return work.read(FeedRow, _FEEDS.where(Feed.reason.is_not(None)))
