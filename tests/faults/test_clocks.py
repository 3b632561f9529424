"""Clocks that are wrong, and two that beat: rows go by the database's clock alone."""

import re
from pathlib import Path

import pytest

from dynamo.db.work import UnitOfWork
from dynamo.services import beats, cycles, sweeps
from tests.faults.racing import race
from tests.services.world import build

HOUSE = Path(__file__).parents[2]
CLOCK = re.compile(r"datetime\.now|utcnow|\btime\.time\(|date\.today|func\.now\(")


@pytest.mark.parametrize("floor", ["services", "db", "operations", "detox", "dealer", "inventory"])
def test_nothing_that_decides_or_records_asks_the_clock_of_its_machine(floor: str):
    paths = list((HOUSE / "dynamo" / floor).rglob("*.py"))
    assert paths
    assert [str(path) for path in paths if CLOCK.search(path.read_text())] == []


def test_of_beats_that_say_the_same_at_once_one_has_an_effect(
    inventory: UnitOfWork, tmp_path: Path
):
    world = build(inventory, tmp_path, [])
    done: list[object] = []

    assert sorted(race([lambda: sweeps.sweep(world.use)] * 6)) == [False] * 5 + [True]  # type: ignore[type-var]
    assert sorted(race([lambda: cycles.due(world.use)] * 6)) == [False] * 5 + [True]  # type: ignore[type-var]
    race([lambda: beats.once(world.use, "check", 900, done.append)] * 6)

    assert len(done) == 1
