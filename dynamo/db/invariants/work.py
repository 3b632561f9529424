"""What must hold of work: every row has a next moment, a holder or an end."""

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
    """Find active rows whose holder is silent for long, or that have no holder."""
    return tuple(
        select(table.id, literal(what).label("what"), table.lease_owner, table.lease_until).where(
            table.state == State.ACTIVE,
            or_(table.lease_until.is_(None), table.lease_until < limits.too_late),
        )
        for table, what in _OPERATIONS
    )


def never_tried(_limits: InvariantLimits) -> Statements:
    """Find waiting rows that have no next moment and do not wait for a person."""
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
    """Find rows in a state that nothing leads out of, as it is none.

    The database refuses them as long as nobody has taken its constraints away.
    """
    return tuple(
        select(table.id, literal(table.__tablename__).label("what"), table.state).where(
            table.state.not_in(known.states)
        )
        for table, known in LIFECYCLES.items()
    )


def forgotten_bookings(limits: InvariantLimits) -> Statements:
    """Find bookings that have expired and that nobody has given up."""
    found = select(Transfer.id, Transfer.request_id, Transfer.expires).where(
        Transfer.state == State.QUEUED,
        Transfer.expires < limits.too_late,
        Transfer.not_before < limits.too_late,
    )
    return (found,)


def stuck_requests(limits: InvariantLimits) -> Statements:
    """Find requests that have not ended although there is nothing left to wait for."""
    moving = exists().where(Transfer.request_id == Request.id, Transfer.state.in_(OPEN))
    leaving = exists().where(Deletion.request_id == Request.id, Deletion.state.in_(OPEN))
    found = select(Request.id, Request.kind, Request.state, Request.dataset).where(
        Request.state.not_in(tuple(ENDED)),
        Request.not_before.is_(None),
        Request.updated < limits.now - limits.stuck,
        ~moving,
        ~leaving,
    )
    return (found,)


def pins_of_the_ended(_limits: InvariantLimits) -> Statements:
    """Find ended transfers that still name a source as pinned."""
    ended = and_(Transfer.state.in_(_ENDED), Transfer.source_id.is_not(None))
    return (select(Transfer.id, Transfer.state, Transfer.source_id).where(ended),)
