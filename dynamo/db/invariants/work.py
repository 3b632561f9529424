"""Invariants of work: every row has a next try, a holder or an end."""

from sqlalchemy import and_, exists, literal, or_, select

from dynamo.db.engine.transitions import LIFECYCLES
from dynamo.db.invariants.limits import InvariantLimits, Statements
from dynamo.db.tables import Deletion, Remedy, Request, Transfer
from dynamo.inventory.states import ENDED
from dynamo.operations.lifecycle import OPEN, TRANSFERS, State
from dynamo.reasons import Reason

_OPERATIONS = ((Transfer, "transfer"), (Deletion, "deletion"), (Remedy, "remedy"))
_ENDED = tuple(state for state in TRANSFERS.states if state not in OPEN)


def old_leases(limits: InvariantLimits) -> Statements:
    """Find active rows without a holder, or with a lease that expired long ago."""
    return tuple(
        select(table.id, literal(noun).label("what"), table.lease_owner, table.lease_until).where(
            table.state == State.ACTIVE,
            or_(table.lease_until.is_(None), table.lease_until < limits.too_late),
        )
        for table, noun in _OPERATIONS
    )


def never_tried(_limits: InvariantLimits) -> Statements:
    """Find waiting rows without a next try that do not wait for a person."""
    waits = (Reason.NEEDS_DECISION,)
    return tuple(
        select(table.id, literal(what).label("what"), table.state, table.reason).where(
            table.state.in_((State.QUEUED, State.HELD)),
            table.not_before.is_(None),
            or_(table.state == State.QUEUED, table.reason.is_(None), table.reason.not_in(waits)),
        )
        for table, what in _OPERATIONS
    )


def unknown_states(_limits: InvariantLimits) -> Statements:
    """Find rows in a state outside the table of moves.

    The database refuses such states as long as its constraints exist.
    """
    return tuple(
        select(table.id, literal(table.__tablename__).label("what"), table.state).where(
            table.state.not_in(known.states)
        )
        for table, known in LIFECYCLES.items()
    )


def forgotten_bookings(limits: InvariantLimits) -> Statements:
    """Find expired bookings that were not given up."""
    statement = select(Transfer.id, Transfer.request_id, Transfer.expires).where(
        Transfer.state == State.QUEUED,
        Transfer.expires < limits.too_late,
        Transfer.not_before < limits.too_late,
    )
    return (statement,)


def stuck_requests(limits: InvariantLimits) -> Statements:
    """Find open requests without open work and without a next look."""
    moving = exists().where(Transfer.request_id == Request.id, Transfer.state.in_(OPEN))
    leaving = exists().where(Deletion.request_id == Request.id, Deletion.state.in_(OPEN))
    statement = select(Request.id, Request.kind, Request.state, Request.dataset).where(
        Request.state.not_in(tuple(ENDED)),
        Request.not_before.is_(None),
        Request.updated < limits.now - limits.stuck,
        ~moving,
        ~leaving,
    )
    return (statement,)


def pins_of_the_ended(_limits: InvariantLimits) -> Statements:
    """Find ended transfers that still pin a source."""
    ended = and_(Transfer.state.in_(_ENDED), Transfer.source_id.is_not(None))
    return (select(Transfer.id, Transfer.state, Transfer.source_id).where(ended),)
