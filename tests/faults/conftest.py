"""Plants: real databases, brokers and worker processes."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from dynamo.db.engine.connection import connect
from dynamo.db.engine.unit_of_work import UnitOfWork
from dynamo.db.tables import Base
from dynamo.operations.hints import Hint
from tests.conftest import Clock
from tests.faults import scenario
from tests.faults.endings import assert_all_ended
from tests.faults.plant import Plant, plant
from tests.servers import Broker


@pytest.fixture
def small_plant(_mariadb: Engine, broker: Broker, tmp_path: Path) -> Iterator[Plant]:
    """Three sites on MariaDB and a Redis of their own; no pool runs yet."""
    made = plant(_mariadb, broker, tmp_path)
    yield made
    made.stop()


@pytest.fixture
def mariadb_inventory(_mariadb: Engine, clock: Clock, published: list[Hint]) -> UnitOfWork:
    """Units of work on MariaDB, with the settable clock; hints go to `published`."""
    return UnitOfWork(_mariadb, published.extend, clock)


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Tell the story once without faults, on the other database, and return how it ends."""
    folder = tmp_path_factory.mktemp("undisturbed")
    engine = connect(f"sqlite:///{folder}/inventory.db")
    Base.metadata.create_all(engine)
    published: list[Hint] = []
    world = scenario.stage(UnitOfWork(engine, published.extend, Clock()), folder, published)

    def step(act: Callable[[], object]) -> object:
        given = act()
        world.work()
        return given

    scenario.tell(world, step)
    assert_all_ended(world)
    assert scenario.disks(world) == {"T2_A": {}, "T2_B": {}, "T2_C": scenario.expected()}
    picture = {**scenario.inventory(world), **scenario.memory(world)}
    engine.dispose()
    return picture
