"""Periodic tasks: their last runs, and a claim that keeps a task from running twice at once."""

from datetime import datetime, timedelta

from sqlalchemy import or_, select, update

from dynamo.db.engine.unit_of_work import Work
from dynamo.db.tables import Pulse


def take(work: Work, name: str, owner: str, hold: timedelta) -> bool:
    """Claim a periodic task for a while, and record that it lives.

    Returns False if another worker has it.
    """
    if not work.scalar(select(Pulse.name).where(Pulse.name == name)):
        work.add(Pulse, name=name, at=work.now, owner=owner, until=work.now + hold)
        return True
    free = or_(Pulse.until.is_(None), Pulse.until <= work.now)
    values = {"at": work.now, "owner": owner, "until": work.now + hold}
    return work.changed(update(Pulse).where(Pulse.name == name, free).values(values)) == 1


def last(work: Work, name: str) -> datetime | None:
    """Return when a periodic task last began."""
    moment: datetime | None = work.scalar(select(Pulse.at).where(Pulse.name == name))
    return moment
