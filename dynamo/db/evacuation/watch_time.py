"""Vigils in rows: for how long dying sites have been watched."""

from datetime import datetime, timedelta

from sqlalchemy import select, update

from dynamo.db.engine.unit_of_work import Work
from dynamo.db.tables import Vigil


def keep(work: Work, site_id: int, begun: datetime, most: timedelta) -> timedelta:
    """Go on watching a site that is dying since a moment; return for how long it was watched.

    Of the time since the last look so much counts at most.
    """
    here = Vigil.site_id == site_id
    row = work.row(select(Vigil.begun, Vigil.at, Vigil.watched).where(here).with_for_update())
    if row is None:
        values = {"begun": begun, "at": work.now, "watched": 0.0}
        work.insert(Vigil, [{"site_id": site_id, **values}])  # who loses the race runs again
        return timedelta()
    since, at, seconds = row
    if since != begun:
        work.changed(update(Vigil).where(here).values(begun=begun, at=work.now, watched=0.0))
        return timedelta()
    gained = max(min(work.now - at, most), timedelta())
    watched = timedelta(seconds=seconds) + gained
    work.changed(update(Vigil).where(here).values(at=work.now, watched=watched.total_seconds()))
    return watched


def kept(work: Work, site_id: int, begun: datetime) -> timedelta:
    """Return for how long a site was watched since it is dying."""
    mine = (Vigil.site_id == site_id, Vigil.begun == begun)
    return timedelta(seconds=work.scalar(select(Vigil.watched).where(*mine)) or 0.0)
