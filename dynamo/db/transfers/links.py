"""Links: how fast files come from site to site, learnt from what arrived."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import select, update

from dynamo.db.engine.unit_of_work import Work
from dynamo.db.tables import Link

Pair = tuple[int, int]
"""Source site and destination site."""


@dataclass(frozen=True, slots=True)
class Moved:
    """What one stream brought."""

    bytes: int
    seconds: float

    def __add__(self, other: "Moved") -> "Moved":
        return Moved(self.bytes + other.bytes, self.seconds + other.seconds)


def learn(work: Work, moved: Mapping[Pair, Moved], half_life: timedelta) -> None:
    """Add what arrived; what is older weighs less and less."""
    known = _of(work, {source for source, _ in moved}, {site for _, site in moved})
    for pair in sorted(moved):
        source, site = pair
        row, new = known.get(pair), moved[pair]
        if row is None:
            ends = {"source_id": source, "site_id": site}
            sums = {"bytes": float(new.bytes), "seconds": new.seconds, "updated": work.now}
            work.insert(Link, [ends | sums])  # who loses the race runs again and finds it
            continue
        weight = 0.5 ** (max(work.now - row.updated, timedelta()) / half_life)
        values = {
            "bytes": Link.bytes * weight + new.bytes,
            "seconds": Link.seconds * weight + new.seconds,
            "updated": work.now,
        }
        here = (Link.source_id == source, Link.site_id == site)
        work.changed(update(Link).where(*here).values(values))


def rates(
    work: Work, source_ids: Collection[int] | None = None, site_ids: Collection[int] | None = None
) -> dict[Pair, float]:
    """Return what one stream brings on links, in bytes a second, as far as it is known."""
    rows = _of(work, source_ids, site_ids)
    return {
        pair: row.bytes / row.seconds for pair, row in rows.items() if row.bytes > 0 < row.seconds
    }


class LinkRow(NamedTuple):
    """What is known of a link."""

    source_id: int
    site_id: int
    bytes: float
    seconds: float
    updated: datetime


def _of(
    work: Work, source_ids: Collection[int] | None, site_ids: Collection[int] | None
) -> dict[Pair, LinkRow]:
    wanted = select(Link.source_id, Link.site_id, Link.bytes, Link.seconds, Link.updated)
    if source_ids is not None:
        wanted = wanted.where(Link.source_id.in_(source_ids))
    if site_ids is not None:
        wanted = wanted.where(Link.site_id.in_(site_ids))
    return {(row.source_id, row.site_id): row for row in work.read(LinkRow, wanted)}
