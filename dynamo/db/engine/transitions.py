"""Transitions: the only statements that change the state of a row, by the tables of moves."""

from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, func, update

from dynamo.db.engine.unit_of_work import Work
from dynamo.db.tables import BlockReplica, Cycle, Deletion, Remedy, Request, Scan, Transfer
from dynamo.operations import lifecycle
from dynamo.operations.lifecycle import Lifecycle

Moving = (
    type[BlockReplica]
    | type[Cycle]
    | type[Deletion]
    | type[Remedy]
    | type[Request]
    | type[Scan]
    | type[Transfer]
)
"""Tables whose rows have a state."""
LIFECYCLES: Mapping[Moving, Lifecycle[Any]] = {
    BlockReplica: lifecycle.REPLICAS,
    Cycle: lifecycle.CYCLES,
    Deletion: lifecycle.DELETIONS,
    Remedy: lifecycle.REMEDIES,
    Request: lifecycle.REQUESTS,
    Scan: lifecycle.SCANS,
    Transfer: lifecycle.TRANSFERS,
}


class UnknownMove(Exception):
    """A move that the table of moves does not allow: a programming error."""


def start(table: Moving, state: StrEnum) -> StrEnum:
    """Return the state for a new row, if rows may start in it. Raises UnknownMove."""
    if state not in LIFECYCLES[table].starts:
        raise UnknownMove(f"a row of {table.__tablename__} does not begin as {state}")
    return state


def move(
    work: Work,
    table: Moving,
    ids: Collection[int],
    to: StrEnum,
    *,
    from_: Collection[StrEnum] | None = None,
    **values: Any,
) -> int:
    """Move the rows that are in an allowed state, and set other columns; return their number.

    A row moves from the states of `from_`; by default from all states that the table of moves
    allows. Raises UnknownMove for other moves.
    """
    origins = _origins(table, to, from_)
    if not ids:
        return 0
    # rows are found by key only: with the index on the state, MariaDB would wait for the locks of
    # all working rows
    in_origin = func.coalesce(table.state, "").in_(origins)
    statement = update(table).where(table.id.in_(ids), in_origin)
    return work.changed(statement.values(state=to, **values))


def move_where(
    work: Work,
    table: Moving,
    which: Sequence[ColumnElement[bool]],
    to: StrEnum,
    *,
    from_: Collection[StrEnum] | None = None,
    **values: Any,
) -> int:
    """Move the rows that match and are in an allowed state, like `move`; return their number."""
    origins = _origins(table, to, from_)
    statement = update(table).where(*which, table.state.in_(origins))
    return work.changed(statement.values(state=to, **values))


def _origins(table: Moving, to: StrEnum, from_: Collection[StrEnum] | None) -> Sequence[StrEnum]:
    known = LIFECYCLES[table].origins(to)
    wanted = known if from_ is None else frozenset(from_)
    if not wanted or not wanted <= known:
        named = ", ".join(sorted(wanted)) or "any state"
        raise UnknownMove(f"{table.__tablename__} do not go from {named} to {to}")
    return sorted(wanted)
