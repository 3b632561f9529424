"""Claims.

Operations are claimed, renewed, put back and reclaimed, in the same way for all tables.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import select, update

from dynamo.db.engine import transitions
from dynamo.db.engine.unit_of_work import Work
from dynamo.db.tables import Deletion, Remedy, Transfer
from dynamo.operations.lifecycle import State, Verdict
from dynamo.reasons import Reason

Operation = type[Transfer] | type[Deletion]
Claimable = Operation | type[Remedy]
"""Tables whose rows workers claim; a remedy has no request."""


@dataclass(frozen=True, slots=True)
class Holder:
    """The holder of a claim: a unique name, and the seconds of its lease."""

    name: str
    seconds: float


def claim(work: Work, table: Claimable, ids: Collection[int], holder: Holder) -> dict[int, int]:
    """Claim the rows that are free and due; return id → fencing number.

    Rows locked by others are skipped. A row at which a worker died is claimed last and alone: the
    caller claims the other rows again.
    """
    due = select(table.id, table.lease_no, table.lost).where(
        table.id.in_(ids), table.state == State.QUEUED, table.not_before <= work.now
    )
    chosen = _together(work.read(_Free, work.skip_locked(due.order_by(table.id))))
    free = {row.id: row.lease_no + 1 for row in chosen}
    transitions.move(
        work,
        table,
        free,
        State.ACTIVE,
        attempts=table.attempts + 1,
        lease_no=table.lease_no + 1,
        lease_owner=holder.name,
        lease_until=work.now + timedelta(seconds=holder.seconds),
        updated=work.now,
    )
    return free


class _Free(NamedTuple):
    id: int
    lease_no: int
    lost: int


def _together(rows: Sequence[_Free]) -> Sequence[_Free]:
    """Return the rows to claim together: a file that kills its worker must not affect others."""
    return [row for row in rows if not row.lost] or rows[:1]


def renew(work: Work, table: Claimable, ids: Collection[int], holder: Holder) -> set[int]:
    """Renew claims; return those that are still held."""
    held = (table.id.in_(ids), table.state == State.ACTIVE, table.lease_owner == holder.name)
    until = work.now + timedelta(seconds=holder.seconds)
    work.changed(update(table).where(*held).values(lease_until=until))
    return set(work.scalars(select(table.id).where(*held)))


def held_by(work: Work, table: Claimable, claims: Mapping[int, int], holder: Holder) -> set[int]:
    """Lock and return the claims that are still held.

    Other workers own the rest by now.
    """
    held = select(table.id, table.lease_no).where(
        table.id.in_(claims), table.state == State.ACTIVE, table.lease_owner == holder.name
    )
    locked = held.order_by(table.id).with_for_update()
    return {key for key, lease_no in work.rows(locked) if claims[key] == lease_no}


def put_back(
    work: Work, table: Claimable, operation: int, verdict: Verdict, reason: Reason, error: str
) -> None:
    """Record a failure: retried later, held or given up by the verdict."""
    transitions.move(
        work,
        table,
        [operation],
        verdict.state,
        from_=(State.ACTIVE,),
        not_before=verdict.not_before,
        hinted=_long_ago(work.now),  # no hint was sent: the next sweep after that time sends one
        lease_owner=None,
        lease_until=None,
        lost=0,
        reason=reason,
        error=error[:1000],
        updated=work.now,
    )


def reclaim(work: Work, table: Claimable, lost_limit: int, daily: timedelta) -> list[int]:
    """Free rows of silent workers; hold for a day, and return, those that lost too many workers."""
    silent = (table.state == State.ACTIVE, table.lease_until < work.now)
    # read without locks: an UPDATE that searches would wait for all working rows
    silent_ids = work.scalars(select(table.id).where(*silent))
    if not silent_ids:
        return []
    # a worker that is silent within a transaction still locks its rows: skip them
    statement = select(table.id, table.lost).where(table.id.in_(silent_ids), *silent)
    free = work.rows(work.skip_locked(statement.order_by(table.id)))
    poisonous = [key for key, lost in free if lost + 1 >= lost_limit]
    others = [key for key, lost in free if lost + 1 < lost_limit]
    common: dict[str, object] = {
        "lost": table.lost + 1,
        "lease_owner": None,
        "lease_until": None,
        "reason": Reason.WORKER_LOST,
        "updated": work.now,
    }
    held = common | {"not_before": work.now + daily, "error": "workers died over it"}
    transitions.move(work, table, poisonous, State.HELD, from_=(State.ACTIVE,), **held)
    again = common | {"not_before": work.now, "hinted": _long_ago(work.now)}
    transitions.move(work, table, others, State.QUEUED, from_=(State.ACTIVE,), **again)
    return poisonous


def wake(work: Work, table: Claimable) -> int:
    """Queue held rows that are due."""
    due = (table.state == State.HELD, table.not_before <= work.now)
    # as in `reclaim`: an UPDATE that searches would wait for all that are at work
    ids = work.scalars(work.skip_locked(select(table.id).where(*due).order_by(table.id)))
    return transitions.move(
        work, table, ids, State.QUEUED, from_=(State.HELD,), hinted=_long_ago(work.now)
    )


def unhinted(work: Work, table: Claimable, patience: timedelta, limit: int) -> Sequence[int]:
    """Return ids of due rows whose hint is missing or was lost.

    They are recorded as sent now.
    """
    due = select(table.id).where(
        table.state == State.QUEUED,
        table.not_before <= work.now,
        table.hinted <= work.now - patience,
    )
    ids = work.scalars(work.skip_locked(due.order_by(table.not_before).limit(limit)))
    if ids:
        work.changed(update(table).where(table.id.in_(ids)).values(hinted=work.now))
    return ids


def _long_ago(now: datetime) -> datetime:
    return now - timedelta(days=1)
