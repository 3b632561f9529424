"""Clocks that are an hour off, and two that beat: rows go by the database's clock alone."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from dynamo.db.tables import Cycle, History, Request
from dynamo.db.work import UnitOfWork
from dynamo.inventory import asked
from dynamo.services import beats, cycles, policies, sweeps
from tests.faults.endings import assert_all_ended, described, seen
from tests.faults.plant import Plant, quickly
from tests.faults.racing import race
from tests.faults.test_broker import contents
from tests.services.world import OPERATOR, World, build


@pytest.mark.slow
@pytest.mark.parametrize(("pool", "beat"), [("+1h", "-1h"), ("-1h", "+1h")])
def test_pools_and_beats_whose_clocks_are_an_hour_off_change_nothing(
    small_plant: Plant, pool: str, beat: str
):
    """All messages of the injection are lost: only what beats can set it going."""
    world = small_plant.world
    begun = now(world)
    requests = [("injection", world.many("T2_A", 60))]
    small_plant.broker.wipe()
    small_plant.start(clock=pool)
    quickly(lambda: "ready" in small_plant.workers[0].said)
    small_plant.broker.wipe()  # what it asked for as it started
    small_plant.beat(clock=beat)
    small_plant.beat()
    quickly(lambda: small_plant.state(*requests[0]) == "done")
    requests += [("closure", world.close()), ("copy", world.copy("T2_C"))]

    quickly(lambda: all(small_plant.state(*request) == "done" for request in requests))

    assert seen(world.folder / "T2_A") == {}
    assert seen(world.folder / "T2_C") == described(contents("T2_A", 60))
    assert_all_ended(world)
    with world.use.begin.reading() as work:
        told = work.scalars(select(History.at)) + work.scalars(select(Request.updated))
    assert begun <= min(told) <= max(told) <= begun + timedelta(minutes=10)


def now(world: World):
    with world.use.begin.reading() as work:
        return work.now


def test_of_beats_that_say_the_same_at_once_one_has_an_effect(inventory: UnitOfWork, tmp_path):
    world = build(inventory, tmp_path, [])
    policies.put(
        world.use,
        "User",
        asked.PolicyBody(text="Partition User\nWhen always\nUntil never\nProtect\n"),
        OPERATOR,
    )
    done: list[object] = []

    assert sorted(race([lambda: sweeps.sweep(world.use)] * 6)) == [False] * 5 + [True]
    assert sorted(race([lambda: cycles.due(world.use)] * 6)) == [False] * 5 + [True]
    race([lambda: beats.once(world.use, "check", 900, done.append)] * 6)

    assert len(done) == 1
    with world.use.begin.reading() as work:
        assert work.scalar(select(func.count()).select_from(Cycle)) == len(governed(world))


def governed(world: World) -> set[int]:
    """Return the partitions of which there is a cycle."""
    with world.use.begin.reading() as work:
        return set(work.scalars(select(Cycle.partition_id)))
