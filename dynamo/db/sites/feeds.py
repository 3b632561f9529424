"""Feeds in rows: when each was last read, whether it was believed, what it says of sites."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select, update

from dynamo.db.engine.unit_of_work import Work
from dynamo.db.tables import Downtime, Feed, ToldStatus


def known(work: Work) -> dict[str, Any]:
    """Return what became of each feed."""
    return {row.name: row for row in work.rows(select(*Feed.__table__.columns).order_by(Feed.name))}


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


def _put(work: Work, name: str, values: dict[str, Any]) -> None:
    row = {"tried": work.now, **values}
    if not work.changed(update(Feed).where(Feed.name == name).values(row)):
        work.insert(Feed, [{"name": name, **row}])


def forget(work: Work, names: Collection[str], tellers: Collection[str]) -> None:
    """Forget feeds that are not read any more, and what those said of sites that tell none."""
    work.changed(delete(Feed).where(Feed.name.not_in(names)))
    for table in (Downtime, ToldStatus):
        work.changed(delete(table).where(table.source.not_in(tellers)))


def replace(
    work: Work, table: type[Downtime | ToldStatus], source: str, rows: Sequence[dict[str, Any]]
) -> None:
    """Take what one feed says of sites now instead of all that it said before."""
    work.changed(delete(table).where(table.source == source))
    work.insert(table, [{**row, "source": source} for row in rows])


def statuses(work: Work) -> Sequence[Any]:
    """Return what each feed said last of the status of each site."""
    return work.rows(select(*ToldStatus.__table__.columns).order_by(ToldStatus.source))


def doubtful(work: Work) -> Sequence[Any]:
    """Return the feeds that were not believed the last time."""
    columns = (Feed.name, Feed.reason, Feed.detail, Feed.taken)
    return work.rows(select(*columns).where(Feed.reason.is_not(None)).order_by(Feed.name))
