"""The table of tasks, and what runs them: in the pools, in a simulation and in all tests here."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import update

from dynamo.db.engine.unit_of_work import UnitOfWork
from dynamo.db.tables import Block, Pulse
from dynamo.operations.hints import Hint
from dynamo.settings import Settings
from dynamo.simulation import pace
from dynamo.storage.protocol import Storage
from dynamo.storage.registry import Storages
from dynamo.storage.timeouts import Timeouts
from dynamo.task_runner import ON_IDS, ONCE, QUICK, TAKING
from dynamo.tasks import TASKS, periods
from tests.conftest import Clock
from tests.services.world import World


def test_each_task_is_one_use_case_and_those_with_a_period_take_no_ids():
    with_period = {task.name for task in TASKS.values() if task.beat is not None}
    assert sorted([*ON_IDS, *ONCE, *TAKING]) == sorted(TASKS)
    assert {*ONCE, *TAKING} == with_period == set(periods(Settings()))
    assert ON_IDS.keys() >= QUICK


def test_a_task_that_is_not_in_the_table_is_refused_at_once(world: World, inventory: UnitOfWork):
    with pytest.raises(LookupError, match="no pool has a task 'plam'"), inventory() as work:
        work.hint(Hint("plam", (1,), "plan request 1"))
    with pytest.raises(LookupError, match="no pool has a task 'plam'"):
        world.run("plam", (1,))


def test_a_periodic_task_has_one_effect_in_its_period(world: World, clock: Clock):
    world.many("T2_A", 1)
    world.work()
    clock.forward(hours=world.ctx.settings.block.idle_hours + 1)
    world.run("close-idle")
    assert world.blocks() == [(1, True)]

    world.many("T2_A", 1, start=1)
    world.work()
    with world.ctx.begin() as work:
        long_ago = work.now - timedelta(hours=2 * world.ctx.settings.block.idle_hours)
        work.changed(update(Block).values(last_file=long_ago))
    world.run("close-idle")
    assert world.blocks() == [(1, True), (1, False)], "it has just been done"

    clock.forward(seconds=periods(world.ctx.settings)["close-idle"])
    world.run("close-idle")
    assert world.blocks() == [(1, True), (1, True)]


@pytest.mark.parametrize("task", ["sweep", "detox", "dealer"])
def test_those_that_take_their_beat_themselves_note_that_they_live(world: World, task: str):
    world.run(task)
    assert world.count(Pulse, Pulse.name == task) == 1


class Noting(Storages):
    """Real storages that note how long those who ask are ready to wait."""

    def __init__(self, limits: Timeouts, noted: set[float]) -> None:
        super().__init__("/store/temp/dynamo", limits)
        self.noted = noted

    def answering_within(self, seconds: float) -> Storages:
        return Noting(replace(self.limits, answer=seconds), self.noted)

    def at(self, url: str, rules: Mapping[str, object]) -> Storage:
        self.noted.add(self.limits.answer)
        return super().at(url, rules)


def test_only_a_probe_hurries_its_storages(world: World):
    noted: set[float] = set()
    world.ctx = replace(world.ctx, storages=Noting(Timeouts(), noted))

    world.many("T2_A", 1)
    world.work()
    assert noted == {Timeouts().answer}
    noted.clear()
    world.run("probe", (1,))
    assert noted == {world.ctx.settings.site.probe_seconds}


def test_a_simulation_keeps_the_periods_of_a_real_system_but_for_those_that_are_named():
    settings = Settings()
    real = periods(settings)
    simulated = pace.simulated_periods(settings)
    assert {task for task in real if task not in simulated} == pace.LEFT_OUT
    differing = {task for task, period in simulated.items() if period.total_seconds() != real[task]}
    assert differing == pace.SLOWER.keys()
