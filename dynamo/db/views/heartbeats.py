"""Signs of life, and how much work waits."""

from datetime import datetime

from sqlalchemy import func, select

from dynamo.db.engine.expressions import total
from dynamo.db.engine.unit_of_work import Work
from dynamo.db.tables import Dataset, Deletion, Pulse, Transfer
from dynamo.operations.lifecycle import State

_UNFINISHED = (State.QUEUED, State.ACTIVE, State.HELD, State.FAILED)


def at(work: Work, name: str) -> datetime | None:
    """Return when a part last showed that it lives."""
    return work.scalar(select(Pulse.at).where(Pulse.name == name))


def unfinished(work: Work, table: type[Transfer] | type[Deletion]) -> dict[str, int]:
    """Count by state the operations that are not done."""
    counted = select(table.state, func.count()).where(table.state.in_(_UNFINISHED))
    found = dict(work.rows(counted.group_by(table.state)))
    return {state.value: found.get(state, 0) for state in _UNFINISHED}


def oldest_due(work: Work, table: type[Transfer] | type[Deletion]) -> float:
    """Return for how many seconds the oldest operation has been ready and nobody took it."""
    due = (table.state == State.QUEUED, table.not_before <= work.now)
    found = work.scalar(select(func.min(table.not_before)).where(*due))
    return (work.now - found).total_seconds() if found is not None else 0.0


def files(work: Work) -> int:
    """Count the registered files."""
    return work.value(select(total(Dataset.n_files)))
