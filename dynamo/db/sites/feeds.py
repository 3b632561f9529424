"""Feeds: when each was last read and accepted, and its statements about sites."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import delete, select, update

from dynamo.db.engine.unit_of_work import Work
from dynamo.db.tables import Downtime, Feed, ToldStatus

Values = Mapping[str, object]


class FeedRow(NamedTuple):
    """The last result of reading a feed."""

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
    """Return the last result of each feed."""
    return {row.name: row for row in work.read(FeedRow, _FEEDS)}


def taken(work: Work, name: str, generated: datetime, detail: str | None) -> None:
    """Record that a feed was accepted."""
    _put(
        work,
        name,
        {"taken": work.now, "generated": generated, "reason": None, "detail": detail},
    )


def refused(work: Work, name: str, reason: str, detail: str) -> None:
    """Record that a feed was refused; its earlier statements stay."""
    _put(work, name, {"reason": reason, "detail": detail[:1000]})


def _put(work: Work, name: str, values: Values) -> None:
    row = {"tried": work.now, **values}
    if not work.changed(update(Feed).where(Feed.name == name).values(row)):
        work.insert(Feed, [{"name": name, **row}])


def forget(work: Work, names: Collection[str], tellers: Collection[str]) -> None:
    """Delete feeds that are no longer read, and statements of feeds without sites."""
    work.changed(delete(Feed).where(Feed.name.not_in(names)))
    for table in (Downtime, ToldStatus):
        work.changed(delete(table).where(table.source.not_in(tellers)))


def replace(
    work: Work,
    table: type[Downtime | ToldStatus],
    source: str,
    rows: Sequence[Values],
) -> None:
    """Replace all statements of one feed about sites."""
    work.changed(delete(table).where(table.source == source))
    work.insert(table, [{**row, "source": source} for row in rows])


class StatusRow(NamedTuple):
    """A feed's last statement about the status of a site."""

    site_id: int
    source: str
    status: str


def statuses(work: Work) -> list[StatusRow]:
    """Return each feed's last statement about the status of each site."""
    columns = (ToldStatus.site_id, ToldStatus.source, ToldStatus.status)
    return work.read(StatusRow, select(*columns).order_by(ToldStatus.source))


def doubtful(work: Work) -> list[FeedRow]:
    """Return the feeds that were refused the last time."""
    return work.read(FeedRow, _FEEDS.where(Feed.reason.is_not(None)))
