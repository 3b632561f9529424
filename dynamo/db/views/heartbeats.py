"""Heartbeats, and numbers of waiting operations."""

from datetime import datetime

from sqlalchemy import func, select

from dynamo.db.engine.expressions import total
from dynamo.db.engine.unit_of_work import Work
from dynamo.db.tables import Dataset, Deletion, Pulse, Transfer
from dynamo.operations.lifecycle import State

_UNFINISHED = (State.QUEUED, State.ACTIVE, State.HELD, State.FAILED)


def at(work: Work, name: str) -> datetime | None:
    """Return the time of the last heartbeat of a part."""
    return work.scalar(select(Pulse.at).where(Pulse.name == name))


def unfinished(work: Work, table: type[Transfer] | type[Deletion]) -> dict[str, int]:
    """Return the number of unfinished operations by state."""
    counted = select(table.state, func.count()).where(table.state.in_(_UNFINISHED))
    counts = dict(work.rows(counted.group_by(table.state)))
    return {state.value: counts.get(state, 0) for state in _UNFINISHED}


def oldest_due(work: Work, table: type[Transfer] | type[Deletion]) -> float:
    """Return for how many seconds the oldest due operation has waited for a worker."""
    due = (table.state == State.QUEUED, table.not_before <= work.now)
    due_since = work.scalar(select(func.min(table.not_before)).where(*due))
    return (work.now - due_since).total_seconds() if due_since is not None else 0.0


def files(work: Work) -> int:
    """Return the number of registered files."""
    return work.value(select(total(Dataset.n_files)))
