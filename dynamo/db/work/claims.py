"""Claims.

How work is taken, kept, given back and found again, for transfers and deletions alike.
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
"""What workers claim; a remedy is nobody's request."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who claims: a name that no other claim has, and how long silence is borne."""

    name: str
    seconds: float


def claim(work: Work, table: Claimable, ids: Collection[int], holder: Holder) -> dict[int, int]:
    """Claim those that are still free and due; return id → fencing number.

    What somebody else holds locked at this moment is passed over, not waited for. What a worker
    has died over comes last and alone: the caller sees to the others again.
    """
    due = select(table.id, table.lease_no, table.lost).where(
        table.id.in_(ids), table.state == State.QUEUED, table.not_before <= work.now
    )
    found = _together(work.read(_Free, work.skip_locked(due.order_by(table.id))))
    free = {row.id: row.lease_no + 1 for row in found}
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


def _together(found: Sequence[_Free]) -> Sequence[_Free]:
    """Choose what may be held at once: a file that kills its worker must not take others along."""
    return [row for row in found if not row.lost] or found[:1]


def renew(work: Work, table: Claimable, ids: Collection[int], holder: Holder) -> set[int]:
    """Keep claims alive; return those that are still ours."""
    mine = (table.id.in_(ids), table.state == State.ACTIVE, table.lease_owner == holder.name)
    until = work.now + timedelta(seconds=holder.seconds)
    work.changed(update(table).where(*mine).values(lease_until=until))
    return set(work.scalars(select(table.id).where(*mine)))


def held_by(work: Work, table: Claimable, claims: Mapping[int, int], holder: Holder) -> set[int]:
    """Lock and return those claims that are still ours.

    The others belong to somebody else by now.
    """
    mine = select(table.id, table.lease_no).where(
        table.id.in_(claims), table.state == State.ACTIVE, table.lease_owner == holder.name
    )
    locked = mine.order_by(table.id).with_for_update()
    return {key for key, lease_no in work.rows(locked) if claims[key] == lease_no}


def put_back(
    work: Work, table: Claimable, operation: int, verdict: Verdict, reason: Reason, error: str
) -> None:
    """Record a failure: tried again later, held or given up as the verdict says."""
    transitions.move(
        work,
        table,
        [operation],
        verdict.state,
        from_=(State.ACTIVE,),
        not_before=verdict.not_before,
        hinted=_long_ago(work.now),  # nobody was told: the next sweep after that moment does
        lease_owner=None,
        lease_until=None,
        lost=0,
        reason=reason,
        error=error[:1000],
        updated=work.now,
    )


def reclaim(work: Work, table: Claimable, lost_limit: int, daily: timedelta) -> list[int]:
    """Free what silent workers held; what cost too many of them is held for a day, and returned."""
    silent = (table.state == State.ACTIVE, table.lease_until < work.now)
    # found without a lock: an UPDATE that searches for them waits for all that are at work
    found = work.scalars(select(table.id).where(*silent))
    if not found:
        return []
    # who fell silent in the middle of a transaction still holds his rows: the others go on
    mine = select(table.id, table.lost).where(table.id.in_(found), *silent)
    free = work.rows(work.skip_locked(mine.order_by(table.id)))
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
    """Queue what was held and is due again."""
    due = (table.state == State.HELD, table.not_before <= work.now)
    # as in `reclaim`: an UPDATE that searches would wait for all that are at work
    ids = work.scalars(work.skip_locked(select(table.id).where(*due).order_by(table.id)))
    return transitions.move(
        work, table, ids, State.QUEUED, from_=(State.HELD,), hinted=_long_ago(work.now)
    )


def unhinted(work: Work, table: Claimable, patience: timedelta, limit: int) -> Sequence[int]:
    """Return ids of due work whose message is missing or was lost.

    Note that they are sent now.
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
