"""Workers that are frozen past their lease and wake up: they write nothing any more."""

import time
from pathlib import Path

import pytest
from sqlalchemy import func, select, text, update

from dynamo.db.engine.connection import connect
from dynamo.db.engine.unit_of_work import UnitOfWork, retried
from dynamo.db.tables import Block, Deletion, History, Request, Site
from tests.faults.endings import assert_all_ended, how_many, seen
from tests.faults.outputs import large_output, temporaries
from tests.faults.plant import Plant, Worker, quickly
from tests.services.world import build, lfn

pytestmark = pytest.mark.slow


def memory(plant: Plant) -> int:
    """Count what is written in the history."""
    with plant.world.ctx.begin.reading() as work:
        return int(work.scalar(select(func.count()).select_from(History)))


def ended(worker: Worker, task: str) -> int:
    """Count the tasks that a pool has ended, by its log."""
    return sum(f"Task {task}[" in line and "succeeded" in line for line in worker.said.splitlines())


def freeze_in_between(plant: Plant, worker: Worker) -> None:
    """Freeze a pool that holds no lock: what it held would stay locked until MariaDB ends it."""
    for _ in range(50):
        worker.freeze()
        if not any(locked(plant, table) for table in (Request, Block, Deletion)):
            return
        worker.thaw()
        time.sleep(0.02)
    raise AssertionError("it holds locks all the time")


def locked(plant: Plant, table: type[Request | Block | Deletion]) -> int:
    """Count the rows that somebody has locked."""
    with plant.world.ctx.begin() as work:
        everything = select(table.id)
        return len(work.scalars(everything)) - len(work.scalars(work.skip_locked(everything)))


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
    world.many("T2_A", 1500)
    world.close()
    copied = world.copy("T2_B", consolidate=False)
    small_plant.until_done(("copy", copied))
    first = small_plant.start("delete")
    deleted = world.delete(site="T2_A")
    quickly(lambda: how_many(world.folder / "T2_A") < 1490)
    freeze_in_between(small_plant, first)
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
    assert len(seen(world.folder / "T2_B")) == 1500
    assert memory(small_plant) == known
    assert_all_ended(world)


def test_who_is_frozen_in_mid_transaction_loses_his_locks_and_runs_it_again(
    mariadb_inventory: UnitOfWork, tmp_path: Path
):
    """MariaDB ends what is silent for a minute; here, for a second."""
    world = build(mariadb_inventory, tmp_path, [])
    world.site("T2_A")
    engine = connect(mariadb_inventory.engine.url.render_as_string(hide_password=False))
    bounds: list[int] = []

    @retried
    def rename() -> None:
        with UnitOfWork(engine)() as work:
            bounds.append(int(work.scalar(text("SELECT @@idle_transaction_timeout"))))
            work.execute(text("SET SESSION idle_transaction_timeout = 1"))
            work.rows(select(Site.id).with_for_update())
            if len(bounds) == 1:
                world.status("T2_A", "morgue")  # has to wait for the lock
            work.changed(update(Site).values(kind="tape"))

    rename()
    engine.dispose()

    assert bounds == [60, 60]
    with world.ctx.begin.reading() as work:
        assert [tuple(row) for row in work.rows(select(Site.status, Site.kind))] == [
            ("morgue", "tape")
        ]
