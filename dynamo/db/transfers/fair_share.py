"""Fairness: what of the work that waits is sent to the workers next; nobody waits for ever.

A request has few messages under way at a time, however large it is; the rest of its transfers is
unsent. So the messages of all requests take turns in the queues. Who finds a way busy is parked,
and the end of a stream calls who has waited longest, of the users with the least under way.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import and_, delete, func, select, update

from dynamo.db.engine import transitions
from dynamo.db.engine.expressions import Condition, Conditions
from dynamo.db.engine.unit_of_work import Work
from dynamo.db.sites import breakers
from dynamo.db.tables import BlockReplica, Parked, Request, Transfer
from dynamo.db.transfers import streams
from dynamo.db.transfers.streams import OUTSIDE, UNSENT, LinkKey, StreamLimits, WaitingRequest
from dynamo.operations.breakers import Operation, Position
from dynamo.operations.lifecycle import State
from dynamo.reasons import Blame, Reason, blamed_on


@dataclass(frozen=True, slots=True)
class FairShare:
    """A request whose turn it is on a way."""

    request_id: int
    user_id: int
    way: LinkKey


class _ParkedRow(NamedTuple):
    id: int
    request_id: int
    user_id: int
    source_id: int
    site_id: int


def fair_shares(
    work: Work, limits: StreamLimits, end: LinkKey | None, most: int
) -> list[FairShare]:
    """Take from those that are parked (at the ends of a way) who may go now.

    The users with the fewest streams come first, then who has waited longest. Who is taken loses
    the place and gets a new one behind the others as long as more of it waits.
    """
    waiting = select(Parked.id, Parked.request_id, Parked.user_id, Parked.source_id, Parked.site_id)
    if end is not None:
        ends = [one for one in (end.source_id, end.site_id) if one != OUTSIDE]
        waiting = waiting.where(Parked.site_id.in_(ends) | Parked.source_id.in_(ends))
    rows = work.read(_ParkedRow, waiting.order_by(Parked.id).limit(1000))
    if not rows:
        return []
    traffic = streams.now(work, limits)
    rows = sorted(rows, key=lambda row: (traffic.of_user[row.user_id], row.id))
    fitting = [row for row in rows if traffic.has_room(LinkKey(row.source_id, row.site_id))][:most]
    gone = [row.id for row in fitting]
    if gone:
        work.changed(delete(Parked).where(Parked.id.in_(gone)))
    return [
        FairShare(row.request_id, row.user_id, LinkKey(row.source_id, row.site_id))
        for row in fitting
    ]


def next_of(work: Work, turn: FairShare, most: int) -> list[int]:
    """Return transfers of a request on a way that are due and that nobody was told of.

    As long as there may be more the request keeps a place among those that are parked.
    """
    wanted = (
        select(Transfer.id)
        .outerjoin(BlockReplica, BlockReplica.id == Transfer.source_id)
        .where(
            *_unsent(work, turn.request_id),
            Transfer.site_id == turn.way.site_id,
            func.coalesce(BlockReplica.site_id, OUTSIDE) == turn.way.source_id,
        )
    )
    ids = work.scalars(wanted.order_by(Transfer.id).limit(most))
    if len(ids) == most:
        mine = select(Request.id, Request.owner_id).where(Request.id == turn.request_id)
        streams.park(work, turn.way, work.read(WaitingRequest, mine))
    return ids


def unsent(work: Work, request_id: int, window: int) -> list[int]:
    """Return due transfers of a request that nobody was told of, as many as its window lets."""
    mine = (Transfer.request_id == request_id, Transfer.hinted > UNSENT)
    under_way = select(func.count()).where(
        *mine, Transfer.state.in_((State.QUEUED, State.ACTIVE)), Transfer.not_before <= work.now
    )
    room = window - work.value(under_way)
    if room <= 0:
        return []
    found = (
        select(Transfer.id)
        .outerjoin(BlockReplica, BlockReplica.id == Transfer.source_id)
        .where(*_unsent(work, request_id), *_free_ways(work, request_id))
    )
    return work.scalars(found.order_by(Transfer.id).limit(room))


def _free_ways(work: Work, request_id: int) -> list[Condition]:
    """Leave out ways on which the request is parked, as it is called when these are free.

    And those at whose end something rests: they are tried when that is over.
    """
    source = func.coalesce(BlockReplica.site_id, OUTSIDE)
    parked = select(Parked.source_id, Parked.site_id).where(Parked.request_id == request_id)
    busy = [(Transfer.site_id != site) | (source != read_at) for read_at, site in work.rows(parked)]
    open_ones = [
        rest
        for rest in breakers.resting(work, None, Operation.READ, Operation.WRITE)
        if rest.position is Position.OPEN
    ]
    written = [one.site_id for one in open_ones if one.operation is Operation.WRITE]
    read = [one.site_id for one in open_ones if one.operation is Operation.READ]
    return [*busy, Transfer.site_id.not_in(written), source.not_in(read)]


def _unsent(work: Work, request_id: int) -> Conditions:
    return (
        Transfer.request_id == request_id,
        Transfer.state == State.QUEUED,
        Transfer.hinted == UNSENT,
        Transfer.not_before <= work.now,
    )


def requests_unsent(work: Work) -> list[int]:
    """Return the requests with due transfers that nobody was told of, the oldest last.

    Those that came last have waited for the shortest time and are the smallest on the whole.
    """
    wanted = select(Transfer.request_id).where(
        Transfer.state == State.QUEUED,
        Transfer.not_before <= work.now,
        Transfer.hinted == UNSENT,
    )
    return sorted(work.scalars(wanted.distinct()), reverse=True)


def sent(work: Work, ids: Collection[int]) -> list[int]:
    """Note that a message for these is on its way; return those that nobody holds locked.

    Who holds a row may be silent: waiting for him would hold all that this transaction has locked.
    """
    mine = select(Transfer.id).where(Transfer.id.in_(ids)).order_by(Transfer.id)
    free = work.scalars(work.skip_locked(mine)) if ids else []
    if free:
        work.changed(update(Transfer).where(Transfer.id.in_(free)).values(hinted=work.now))
    return free


def forget_lost(work: Work, patience: timedelta, most: int) -> int:
    """Take due transfers whose message must have been lost for unsent."""
    due = select(Transfer.id).where(
        Transfer.state == State.QUEUED,
        Transfer.not_before <= work.now,
        Transfer.hinted <= work.now - patience,
        Transfer.hinted != UNSENT,
    )
    ids = work.scalars(work.skip_locked(due.order_by(Transfer.not_before).limit(most)))
    if ids:
        work.changed(update(Transfer).where(Transfer.id.in_(ids)).values(hinted=UNSENT))
    return len(ids)


def due_at(work: Work, place: breakers.BreakerKey, most: int) -> list[int]:
    """Return due transfers that need an operation at a site."""
    due = (Transfer.state == State.QUEUED, Transfer.not_before <= work.now, _at(place))
    return work.scalars(select(Transfer.id).where(*due).limit(most))


def _at(place: breakers.BreakerKey) -> Condition:
    site, operation = place
    if operation is Operation.WRITE:
        return Transfer.site_id == site
    return Transfer.source_id.in_(select(BlockReplica.id).where(BlockReplica.site_id == site))


def postpone(work: Work, ids: Collection[int], until: datetime, error: str) -> None:
    """Let due transfers wait for a breaker."""
    due = (
        Transfer.id.in_(ids),
        Transfer.state == State.QUEUED,
        Transfer.not_before <= work.now,
    )
    values = {
        "not_before": until,
        "hinted": UNSENT,
        "reason": Reason.SITE_FAILING,
        "error": error[:1000],
        "updated": work.now,
    }
    work.changed(update(Transfer).where(*due).values(values))


_BLAME = {Operation.WRITE: Blame.DESTINATION, Operation.READ: Blame.SOURCE}


def wake(work: Work, places: Mapping[breakers.BreakerKey, datetime]) -> int:
    """Let transfers that waited for breakers go on, as these are closed again.

    So does what was tried while they were open, and held for it: its cause is gone. What was held
    before they opened has another.
    """
    changed = 0
    for place, since in places.items():
        waiting = (Transfer.state == State.QUEUED) & (Transfer.reason == Reason.SITE_FAILING)
        tried = and_(
            Transfer.state == State.HELD,
            Transfer.reason.in_(blamed_on(_BLAME[place[1]])),
            Transfer.updated >= since,
        )
        found = work.scalars(select(Transfer.id).where(_at(place), waiting | tried))
        if found:
            changed += transitions.move(
                work,
                Transfer,
                found,
                State.QUEUED,
                from_=(State.QUEUED, State.HELD),
                not_before=work.now,
                hinted=UNSENT,
                reason=None,
                error=None,
            )
    return changed
