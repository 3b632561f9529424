"""Work that costs one worker after the other: it is held, told, and tried again much later."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from dynamo.db.engine.unit_of_work import UnitOfWork
from dynamo.db.tables import Deletion, Transfer
from dynamo.db.work import claims
from dynamo.db.work.claims import Holder, Operation
from dynamo.operations.hints import Hint
from dynamo.services.maintenance import sweeper
from dynamo.storage import copier
from tests.conftest import Clock
from tests.faults import scenario
from tests.faults.endings import assert_all_ended, assert_well, described, seen
from tests.services.machine.stage import Died
from tests.services.world import World, lfn

CONTENT = b"events"


@pytest.fixture
def world(begin: UnitOfWork, tmp_path: Path, published: list[Hint]) -> World:
    """Three sites."""
    return scenario.stage(begin, tmp_path, published)


def die(world: World, clock: Clock, table: Operation) -> None:
    """Let a worker claim everything and fall silent; nobody else has time before beat looks."""
    with world.ctx.begin() as work:
        due = work.scalars(select(table.id))
        assert claims.claim(work, table, due, Holder("dying", 30))
    clock.forward(minutes=2)
    sweep_alone(world)


def sweep_alone(world: World) -> None:
    """Sweep, and lose what it announces."""
    assert sweeper.sweep(world.ctx)
    world.published.clear()


def state(world: World, table: Operation) -> tuple[str, str | None, int]:
    """Return state, reason and lost workers of the only row."""
    with world.ctx.begin.reading() as work:
        row = work.row(select(table.state, table.reason, table.lost))
    return (row.state, row.reason, row.lost)


def condemned(world: World) -> int:
    """Let all that is handed over come and be condemned, and nobody hear of the deletions yet."""
    world.work()
    world.close()
    world.work()
    request = world.delete()
    world.step("condemn")
    world.published.clear()
    return request


def test_a_transfer_that_costs_three_workers_is_held_with_its_reason(world: World, clock: Clock):
    request = world.inject("T2_A", [world.pulled("T2_A", "out.root", CONTENT)])
    world.published.clear()
    for lost in (1, 2):
        die(world, clock, Transfer)
        assert state(world, Transfer) == ("queued", "worker-lost", lost)
    die(world, clock, Transfer)

    assert state(world, Transfer) == ("held", "worker-lost", 3)
    shown = world.request("injection", request)
    assert shown["state"] == "held"
    assert world.problems("injection", request)[0]["reason"] == "worker-lost"
    assert_well(world)
    clock.forward(days=1, minutes=1)
    world.sweep()
    world.close()
    world.work()
    assert world.request("injection", request)["state"] == "done"
    assert seen(world.folder / "T2_A") == described({lfn("out.root"): CONTENT})
    assert_all_ended(world)


def test_a_file_that_kills_its_workers_does_not_take_along_those_of_its_batch(
    world: World, clock: Clock, monkeypatch: pytest.MonkeyPatch
):
    copy = copier.copy

    def deadly(source: Any, destination: Any, temporary: str, name: str, *more: Any) -> Any:
        if name == lfn("5.root"):
            raise Died
        return copy(source, destination, temporary, name, *more)

    monkeypatch.setattr(copier, "copy", deadly)
    names = [f"{n}.root" for n in range(10)]
    request = world.inject("T2_A", [world.pulled("T2_A", name, CONTENT) for name in names])
    for _ in range(5):
        while world.published:
            with suppress(Died):
                world.work()
        clock.forward(minutes=2)
        sweeper.sweep(world.ctx)

    [problem] = world.problems("injection", request)
    assert (problem["lfn"], problem["reason"]) == (lfn("5.root"), "worker-lost")
    assert len(seen(world.folder / "T2_A")) == 9
    assert_well(world)


def test_deletions_that_a_worker_died_over_are_done_one_by_one(world: World, clock: Clock):
    world.inject("T2_A", [world.pulled("T2_A", f"{n}.root", CONTENT) for n in range(10)])
    request = condemned(world)
    die(world, clock, Deletion)
    with world.ctx.begin() as work:
        due = work.scalars(select(Deletion.id))
        assert list(claims.claim(work, Deletion, due, Holder("another", 30))) == due[:1]
    clock.forward(minutes=2)
    world.sweep()

    assert world.request("deletion", request)["state"] == "done"
    assert_all_ended(world)


def test_a_deletion_that_costs_three_workers_is_held_with_its_reason(world: World, clock: Clock):
    world.inject("T2_A", [world.pulled("T2_A", "out.root", CONTENT)])
    request = condemned(world)
    for _ in range(3):
        die(world, clock, Deletion)

    assert state(world, Deletion) == ("held", "worker-lost", 3)
    assert world.request("deletion", request)["state"] == "held"
    assert world.problems("deletion", request)[0]["reason"] == "worker-lost"
    assert_well(world)
    clock.forward(days=1, minutes=1)
    world.sweep()
    assert world.request("deletion", request)["state"] == "done"
    assert seen(world.folder / "T2_A") == {}
    assert_all_ended(world)


def test_an_orderly_failure_between_two_deaths_forgives_the_first(world: World, clock: Clock):
    world.inject("T2_A", [world.pulled("T2_A", "out.root", CONTENT)])
    world.published.clear()
    world.output_path("T2_A", "out.root").unlink()
    die(world, clock, Transfer)
    clock.forward(minutes=2)
    world.sweep()  # fails: the source is missing

    assert state(world, Transfer) == ("queued", "source-missing", 0)
