"""Clocks that are wrong, and two that beat: rows go by the database's clock alone."""

import re
from pathlib import Path

import pytest
from sqlalchemy import func, select

from dynamo.db.engine.unit_of_work import UnitOfWork
from dynamo.db.tables import History
from dynamo.services import periodic
from dynamo.services.cycles import submission as cycles_submission
from dynamo.services.maintenance import sweeper
from tests.faults.endings import assert_all_ended, described, seen
from tests.faults.plant import Plant, quickly
from tests.faults.racing import race
from tests.faults.site_api import contents
from tests.services.world import build

HOUSE = Path(__file__).parents[2]
CLOCK = re.compile(r"datetime\.now|utcnow|\btime\.time\(|date\.today|func\.now\(")


ASKS = {"cli", "client"}
"""Floors of people and jobs: they show the time, or wait; nothing is recorded from there."""


def test_nothing_that_decides_or_records_asks_the_clock_of_its_machine():
    floors = {path.name: path for path in (HOUSE / "dynamo").iterdir() if path.is_dir()}
    floors |= {"workers": HOUSE / "workers"}
    assert {"services", "db", "storage", "consistency", "queues", "feeds"} < floors.keys()
    paths = [
        path for name, floor in floors.items() if name not in ASKS for path in floor.rglob("*.py")
    ]
    assert [str(path) for path in paths if CLOCK.search(path.read_text())] == []


@pytest.mark.slow
def test_pools_whose_clocks_are_two_hours_apart_do_everything_once_and_date_it_rightly(
    small_plant: Plant,
):
    world = small_plant.world
    with world.ctx.begin.reading() as work:
        began = work.now
    for seconds in (3600, -3600):
        small_plant.start_skewed(seconds)
    requests = [("injection", world.many("T2_A", 60)), ("injection", world.many("T2_B", 60))]
    small_plant.until_done(*requests)
    requests = [("closure", world.close()), ("copy", world.copy("T2_C"))]
    small_plant.until_done(*requests)

    assert all(worker.process.poll() is None for worker in small_plant.workers)
    with world.ctx.begin.reading() as work:
        arrived = select(func.sum(History.n_files)).where(History.what == "arrived")
        assert work.scalar(arrived) == 2 * 120
        first, last = work.row(select(func.min(History.at), func.max(History.at)))
        assert began <= first <= last <= work.now
    assert seen(world.folder / "T2_C") == described(contents("T2_A", 60) | contents("T2_B", 60))
    assert_all_ended(world)


@pytest.mark.slow
def test_two_beats_do_not_double_what_they_find(small_plant: Plant):
    """Both send a sweep each 0.4 s; all messages but theirs are lost."""
    world = small_plant.world
    requests = [("injection", world.many("T2_A", 30)), ("injection", world.many("T2_B", 30))]
    small_plant.broker.wipe()
    small_plant.start()
    beats = [small_plant.beat(), small_plant.beat()]
    for beat in beats:
        quickly(lambda beat=beat: beat.said.count("find lost work (sweep)") > 1)
    quickly(lambda: all(small_plant.state(*request) == "done" for request in requests), 60)
    requests += [("closure", world.close()), ("copy", world.copy("T2_C"))]
    small_plant.broker.wipe()
    quickly(lambda: all(small_plant.state(*request) == "done" for request in requests), 60)

    assert all(beat.process.poll() is None for beat in beats)
    with world.ctx.begin.reading() as work:
        wanted = select(func.sum(History.n_files)).where(History.what == "arrived")
        assert work.scalar(wanted) == 2 * 60, "each file came once, and once to the second place"
    assert seen(world.folder / "T2_C") == described(contents("T2_A", 30) | contents("T2_B", 30))
    assert_all_ended(world)


def test_of_beats_that_say_the_same_at_once_one_has_an_effect(
    inventory: UnitOfWork, tmp_path: Path
):
    world = build(inventory, tmp_path, [])
    done: list[object] = []

    assert sorted(race([lambda: sweeper.sweep(world.ctx)] * 6)) == [False] * 5 + [True]  # type: ignore[type-var]
    assert sorted(race([lambda: cycles_submission.due(world.ctx)] * 6)) == [False] * 5 + [True]  # type: ignore[type-var]
    race([lambda: periodic.once(world.ctx, "check", done.append)] * 6)

    assert len(done) == 1
