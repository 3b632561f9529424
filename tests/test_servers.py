"""The ground under all other tests: what they are given is real, empty and gone afterwards."""

import pytest
from sqlalchemy import func, select

from dynamo.db.engine.unit_of_work import UnitOfWork
from dynamo.db.tables import Group
from tests.conftest import Clock
from tests.servers import Broker


@pytest.mark.parametrize("turn", [1, 2])
def test_each_test_gets_an_inventory_that_counts_from_one(inventory: UnitOfWork, turn: int) -> None:
    with inventory() as work:
        assert work.scalar(select(func.count()).select_from(Group)) == 0
        assert work.add(Group, name=f"g{turn}", level="dataset") == 1


@pytest.mark.parametrize("turn", [1, 2])
def test_a_transaction_that_a_test_forgot_does_not_hold_up_the_next(
    inventory: UnitOfWork, turn: int
) -> None:
    connection = inventory.engine.connect()
    connection.begin()
    connection.execute(Group.__table__.insert(), {"name": f"g{turn}", "level": "dataset"})  # type: ignore[attr-defined]


def test_time_passes_when_the_test_says_so(begin: UnitOfWork, clock: Clock) -> None:
    with begin() as work:
        before = work.now
    clock.forward(hours=25)
    with begin() as work:
        assert (work.now - before).total_seconds() == 25 * 3600


def test_a_broker_keeps_its_messages_over_a_restart(broker: Broker) -> None:
    broker.client.lpush("copy", b"1", b"2")
    broker.stop()
    broker.start()
    assert broker.messages("copy") == [b"1", b"2"]
