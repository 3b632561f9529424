"""The pools as the page of the queues declares them, and what a message carries into a task."""

import re

import pytest
from sqlalchemy import select

import celeryconfig
from dynamo.db.tables import History
from dynamo.logs import tracing
from tests.faults.endings import assert_all_ended
from tests.faults.plant import Plant, quickly
from workers.app import app


def tasks() -> set[str]:
    """Return the names of our tasks."""
    app.loader.import_default_modules()
    return {name for name in app.tasks if not name.startswith("celery.")}


def test_every_task_has_a_queue_and_every_queue_has_tasks():
    assert tasks() == set(celeryconfig.QUEUE_OF)
    assert set(celeryconfig.QUEUE_OF.values()) == {q.name for q in celeryconfig.task_queues}


def test_every_queue_belongs_to_one_pool():
    queues = [queue for queues in celeryconfig.POOLS.values() for queue in queues]
    assert sorted(queues) == sorted(queue.name for queue in celeryconfig.task_queues)
    assert len(queues) == len(set(queues))


def test_what_beats_is_a_task_with_a_period_and_outlives_clocks_that_are_an_hour_apart():
    for entry in celeryconfig.beat_schedule.values():
        assert entry["task"] in tasks()
        period = entry["schedule"].total_seconds()
        assert period == celeryconfig.EVERY[entry["task"]]
        assert entry["options"]["expires"] >= period + 3600
    assert len(celeryconfig.beat_schedule) == len(celeryconfig.EVERY)


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
