"""Workers that are frozen past their lease and wake up: they write nothing any more."""

import pytest
from sqlalchemy import func, select

from dynamo.db.tables import History
from tests.faults.endings import assert_all_ended, seen
from tests.faults.plant import Plant, Worker, quickly
from tests.faults.test_killed import large_output, temporaries
from tests.services.world import lfn

pytestmark = pytest.mark.slow


def memory(plant: Plant) -> int:
    """Count what is written in the history."""
    with plant.world.use.begin.reading() as work:
        return int(work.scalar(select(func.count()).select_from(History)))


def ended(worker: Worker, task: str) -> int:
    """Count the tasks that a pool has ended, by its log."""
    return sum(f"Task {task}[" in line and "succeeded" in line for line in worker.said.splitlines())


def test_a_copier_that_wakes_up_too_late_writes_nothing(small_plant: Plant):
    world = small_plant.world
    first = small_plant.start()
    request = world.inject("T2_A", [large_output(small_plant, "T2_A", "large.root")])
    quickly(lambda: temporaries(small_plant, "T2_A"))
    first.freeze()
    second = small_plant.start()
    small_plant.until_done(("injection", request))
    second.kill()
    before, known = seen(world.folder / "T2_A"), memory(small_plant)

    first.thaw()
    quickly(lambda: ended(first, "inject"))

    assert temporaries(small_plant, "T2_A") == []
    assert seen(world.folder / "T2_A") == before
    assert list(before) == [lfn("large.root")]
    assert memory(small_plant) == known
    assert_all_ended(world)


def test_a_deleter_that_wakes_up_too_late_writes_nothing(small_plant: Plant):
    world = small_plant.world
    working = small_plant.start("inject", "copy", "close", "policy")
    world.many("T2_A", 400)
    world.close()
    copied = world.copy("T2_B", consolidate=False)
    small_plant.until_done(("copy", copied))
    first = small_plant.start("delete")
    deleted = world.delete(site="T2_A")
    quickly(lambda: len(list((world.folder / "T2_A").rglob("*.root"))) < 390)
    first.freeze()
    already = ended(first, "delete")
    assert len(seen(world.folder / "T2_A")) > 0
    second = small_plant.start("delete")
    small_plant.until_done(("deletion", deleted))
    second.kill()
    working.kill()
    known = memory(small_plant)

    first.thaw()
    quickly(lambda: ended(first, "delete") > already)

    assert seen(world.folder / "T2_A") == {}
    assert len(seen(world.folder / "T2_B")) == 400
    assert memory(small_plant) == known
    assert_all_ended(world)
