"""Moves: the only statements that change the state of a row, by the tables of moves."""

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
    """A state that the table of moves does not allow: a fault of the code that asks for it."""


def start(table: Moving, state: StrEnum) -> StrEnum:
    """Return the state of a row that is about to be written. Raises UnknownMove."""
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
    """Move those of the rows that may, and change their other columns; return their number.

    A row moves from the states of `from_`, without it from all from which it may come. Raises
    UnknownMove for a move that is not in the table of moves.
    """
    origins = _origins(table, to, from_)
    if not ids:
        return 0
    # the rows are found by their keys alone: by its index on the state MariaDB would wait for all
    # that others have in hand
    here = func.coalesce(table.state, "").in_(origins)
    mine = update(table).where(table.id.in_(ids), here)
    return work.changed(mine.values(state=to, **values))


def move_where(
    work: Work,
    table: Moving,
    which: Sequence[ColumnElement[bool]],
    to: StrEnum,
    *,
    from_: Collection[StrEnum] | None = None,
    **values: Any,
) -> int:
    """Move the rows that fit and may, as `move` does; return their number."""
    origins = _origins(table, to, from_)
    mine = update(table).where(*which, table.state.in_(origins))
    return work.changed(mine.values(state=to, **values))


def _origins(table: Moving, to: StrEnum, from_: Collection[StrEnum] | None) -> Sequence[StrEnum]:
    known = LIFECYCLES[table].origins(to)
    wanted = known if from_ is None else frozenset(from_)
    if not wanted or not wanted <= known:
        told = ", ".join(sorted(wanted)) or "any state"
        raise UnknownMove(f"{table.__tablename__} do not go from {told} to {to}")
    return sorted(wanted)
