"""Downtimes of sites, as feeds announce them."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, select

from dynamo.db.engine.unit_of_work import Work
from dynamo.db.tables import Downtime, Site


def under_way(work: Work) -> set[int]:
    """Return the sites that are down now."""
    now = (Downtime.begins <= work.now, Downtime.ends > work.now)
    return set(work.scalars(select(Downtime.site_id).where(*now)))


def forget(work: Work, before: datetime) -> int:
    """Delete downtimes that ended before a time."""
    return work.changed(delete(Downtime).where(Downtime.ends < before))


def known_sites(work: Work, names: Sequence[str]) -> dict[str, int]:
    """Return the existing sites of these names."""
    rows = work.rows(select(Site.name, Site.id).where(Site.name.in_(names)))
    return dict(rows)
