"""The pools as the table of tasks declares them, and what a message carries into a task."""

import re

import pytest
from sqlalchemy import select

import celeryconfig
from dynamo.db.tables import History
from dynamo.logs import tracing
from dynamo.settings import load
from dynamo.tasks import POOLS, QUEUES, TASKS, periods
from tests.faults.endings import assert_all_ended
from tests.faults.plant import Plant, quickly
from workers.app import app


def tasks() -> set[str]:
    """Return the names of the tasks that Celery knows."""
    app.loader.import_default_modules()
    return {name for name in app.tasks if not name.startswith("celery.")}


def test_a_pool_has_all_tasks_of_the_table_and_no_others():
    assert tasks() == set(TASKS)


def test_every_message_goes_to_a_queue_that_one_pool_works_on():
    routes = {name: app.amqp.router.route({}, name)["queue"].name for name in TASKS}
    assert routes == {task.name: task.queue for task in TASKS.values()}
    assert set(routes.values()) == {queue.name for queue in celeryconfig.task_queues}
    assert set(routes.values()) == set(QUEUES)
    assert len(QUEUES) == len(set(QUEUES)) == sum(map(len, POOLS.values()))


def test_what_beats_is_a_task_with_a_period_and_outlives_clocks_that_are_an_hour_apart():
    beats = {entry["task"]: entry for entry in celeryconfig.beat_schedule.values()}
    assert beats.keys() <= tasks()
    assert {name: entry["schedule"].total_seconds() for name, entry in beats.items()} == periods(
        load()
    )
    for entry in beats.values():
        assert entry["options"]["expires"] >= entry["schedule"].total_seconds() + 3600
    assert len(beats) == len(celeryconfig.beat_schedule)


def test_messages_are_acknowledged_late_and_work_has_no_time_limit():
    assert app.conf.task_acks_late is True
    assert app.conf.task_reject_on_worker_lost is True
    assert app.conf.worker_prefetch_multiplier == 1
    assert app.conf.task_time_limit is None
    assert app.conf.accept_content == ["json"]


@pytest.mark.slow
def test_the_id_of_a_call_travels_through_a_real_pool_into_the_history(
    small_plant: Plant,
):
    world = small_plant.world
    pool = small_plant.start()
    # else what it looks for as it starts may find the work before the call's own message comes
    quickly(lambda: re.search(r"sweep\[[^]]*\] succeeded", pool.said))
    with tracing("job-17"):
        requests = [("injection", world.many("T2_A", 3)), ("closure", world.close())]
    quickly(lambda: all(small_plant.state(*request) == "done" for request in requests))

    with world.ctx.begin.reading() as work:
        told = set(work.rows(select(History.what, History.trace)))
    assert {(what, "job-17") for what in ("injected", "arrived", "block-closed")} <= told
    assert_all_ended(world)
