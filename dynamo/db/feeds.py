"""Feeds in rows: when each was last read, and whether it was believed."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select, update

from dynamo.db.tables import Feed
from dynamo.db.work import Work


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


def forget(work: Work, names: Collection[str]) -> int:
    """Forget feeds that are not read any more: all but those of these names."""
    return work.changed(delete(Feed).where(Feed.name.not_in(names)))


def doubtful(work: Work) -> Sequence[Any]:
    """Return the feeds that were not believed the last time."""
    columns = (Feed.name, Feed.reason, Feed.detail, Feed.taken)
    return work.rows(select(*columns).where(Feed.reason.is_not(None)).order_by(Feed.name))
