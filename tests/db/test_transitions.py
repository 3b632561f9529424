"""Moves: a row changes its state as the table of moves says, and whatever else it is told then."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import select, update

from dynamo.db.engine import transitions
from dynamo.db.engine.transitions import UnknownMove
from dynamo.db.engine.unit_of_work import UnitOfWork, Work
from dynamo.db.tables import Remedy, Site
from dynamo.inventory.states import ReplicaState
from dynamo.operations.lifecycle import State

NOW = datetime(2026, 11, 22, tzinfo=UTC)
QUEUED, ACTIVE, HELD = State.QUEUED, State.ACTIVE, State.HELD


def file(work: Work, state: State, n: int = 1) -> list[int]:
    """File remedies in a state; return their keys."""
    if not work.scalar(select(Site.id)):
        named = {"name": "T2_A", "kind": "disk", "status": "ready", "url": ""}
        work.add(Site, **named, rules={}, scratch=[], sources=[], created=NOW)
    row: dict[str, Any] = {
        "kind": "mend", "found": "missing", "site_id": work.scalar(select(Site.id)), "scan_id": 1,
        "lfn": "", "size": 0, "state": state, "attempts": 0, "lost": 0, "hinted": NOW,
        "not_before": NOW, "lease_no": 0, "created": NOW, "updated": NOW,
    }  # fmt: skip
    before = work.scalar(select(Remedy.id).order_by(Remedy.id.desc()).limit(1)) or 0
    work.insert(Remedy, [row] * n)
    return work.scalars(select(Remedy.id).where(Remedy.id > before).order_by(Remedy.id))


def states(work: Work, ids: Sequence[int]) -> list[str]:
    return work.scalars(select(Remedy.state).where(Remedy.id.in_(ids)).order_by(Remedy.id))


def test_only_rows_move_that_may(inventory: UnitOfWork) -> None:
    with inventory() as work:
        ids = [*file(work, QUEUED), *file(work, ACTIVE), *file(work, HELD)]
        assert transitions.move(work, Remedy, ids, ACTIVE, attempts=Remedy.attempts + 1) == 1
        assert states(work, ids) == ["active", "active", "held"]
        assert work.scalars(select(Remedy.attempts).order_by(Remedy.id)) == [1, 0, 0]


def test_a_caller_may_ask_for_fewer_moves_than_there_are(inventory: UnitOfWork) -> None:
    with inventory() as work:
        ids = [*file(work, QUEUED), *file(work, ACTIVE), *file(work, HELD)]
        assert transitions.move(work, Remedy, ids, QUEUED, from_=(HELD,), lost=3) == 1
        assert work.scalars(select(Remedy.lost).order_by(Remedy.id)) == [0, 0, 3]


def test_rows_that_fit_a_condition_move_if_they_may(inventory: UnitOfWork) -> None:
    with inventory() as work:
        ids = [*file(work, QUEUED), *file(work, ACTIVE, 2)]
        which = (Remedy.id > ids[1],)
        assert transitions.move_where(work, Remedy, which, HELD, reason="internal") == 1
        assert states(work, ids) == ["queued", "active", "held"]


def test_a_move_that_the_table_does_not_know_is_refused_before_anything_is_done(
    inventory: UnitOfWork,
) -> None:
    with inventory() as work:
        ids = file(work, QUEUED)
        with pytest.raises(UnknownMove, match="remedies do not go from any state to done"):
            transitions.move(work, Remedy, ids, State.DONE)
        with pytest.raises(UnknownMove, match="remedies do not go from queued to held"):
            transitions.move_where(work, Remedy, (), HELD, from_=(QUEUED,))
        with pytest.raises(UnknownMove, match="remedies do not go from queued to condemned"):
            transitions.move(work, Remedy, [], ReplicaState.CONDEMNED, from_=(QUEUED,))
        assert states(work, ids) == ["queued"]


def test_a_row_begins_as_the_table_says() -> None:
    assert transitions.start(Remedy, QUEUED) == "queued"
    with pytest.raises(UnknownMove, match="a row of remedies does not begin as active"):
        transitions.start(Remedy, ACTIVE)


@pytest.mark.parametrize("engine", ["mariadb"], indirect=True)
def test_rows_that_are_named_move_while_others_in_that_state_are_in_hand(
    inventory: UnitOfWork,
) -> None:
    """With few rows in a state MariaDB would look for them by it, and wait for whose they are."""
    with inventory() as work:
        ids, in_hand = file(work, HELD, 100), file(work, QUEUED, 3)
    with inventory() as holder:
        holder.changed(update(Remedy).where(Remedy.id.in_(in_hand)).values(lost=1))
        with inventory() as work:
            work.connection.exec_driver_sql("SET innodb_lock_wait_timeout = 1")
            assert transitions.move(work, Remedy, ids, ACTIVE) == 0
            work.connection.exec_driver_sql("SET innodb_lock_wait_timeout = DEFAULT")
