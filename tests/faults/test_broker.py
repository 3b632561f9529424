"""Redis that is frozen, flushed or away: calls are answered, and all work is done in the end."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import select

from dynamo.db.tables import Block
from tests.api.web import booking
from tests.faults.endings import assert_all_ended, assert_well, described, seen
from tests.faults.plant import Plant, quickly
from tests.faults.site_api import contents, web
from tests.services.world import World

ENOUGH = 5.0
"""Seconds that a call may take at most here; it takes 0.3 on a machine that does nothing else."""


def test_a_frozen_broker_costs_a_call_little_time(small_plant: Plant):
    site = web(small_plant)
    assert site.post("/v1/injections", booking("before.root")).status_code == 202
    small_plant.broker.freeze()
    took: list[float] = []

    def call(name: str) -> None:
        began = time.monotonic()
        assert site.post("/v1/injections", booking(name)).status_code == 202
        took.append(time.monotonic() - began)

    callers = [threading.Thread(target=call, args=(f"{n}.root",)) for n in range(12)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    health = site.call("GET", "/v1/health", by=None)

    small_plant.broker.thaw()
    assert_well(small_plant.world)
    assert len(took) == 12
    assert max(took) < ENOUGH
    assert health.status_code == 200
    assert health.get_json()["status"] == "degraded"


@pytest.mark.slow
def test_work_whose_messages_were_wiped_is_done(small_plant: Plant):
    world = small_plant.world
    requests = [("injection", world.many("T2_A", 120)), ("injection", world.many("T2_B", 30))]
    small_plant.broker.wipe()  # before anybody took a message
    small_plant.start()
    small_plant.until(lambda: world.on_disk("T2_A"))
    small_plant.broker.wipe()  # in mid work
    closed, copied = world.close(), world.copy("T2_C")
    small_plant.broker.wipe()
    small_plant.until_done(*requests, ("closure", closed), ("copy", copied))

    assert seen(world.folder / "T2_C") == described(contents("T2_A", 120) | contents("T2_B", 30))
    assert_all_ended(world)


@contextmanager
def recording_waits(world: World) -> Iterator[None]:
    """Hold the open blocks, so that whoever brought a file waits until it may say so."""
    with world.ctx.begin() as work:
        work.rows(select(Block.id).with_for_update())
        yield


@pytest.mark.slow
def test_pools_and_beat_go_on_when_the_broker_is_back(small_plant: Plant):
    """The broker goes while a task runs, and is still away when that task ends."""
    world, broker = small_plant.world, small_plant.broker
    worker, beat = small_plant.start(), small_plant.beat()
    requests = [("injection", world.many("T2_A", 20))]
    small_plant.until_done(*requests)

    requests.append(("injection", world.many("T2_A", 20, start=20)))
    with recording_waits(world):
        quickly(lambda: len(world.on_disk("T2_A")) == 40)
        broker.stop()
        quickly(lambda: "Connection to broker lost" in worker.said)
    quickly(lambda: small_plant.state(*requests[-1]) == "done")
    requests += [("injection", world.many("T2_B", 60)), ("closure", world.close())]
    requests.append(("copy", world.copy("T2_C")))
    quickly(lambda: "Cannot connect" in worker.said)
    assert small_plant.state("injection", requests[2][1]) == "running"
    broker.start()

    quickly(lambda: all(small_plant.state(*request) == "done" for request in requests), 60)
    assert worker.process.poll() is None
    assert beat.process.poll() is None
    assert seen(world.folder / "T2_C") == described(contents("T2_A", 40) | contents("T2_B", 60))
    assert_all_ended(world)
