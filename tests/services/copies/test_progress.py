"""Copies that do not go on: each says why, and goes on as long as it is wanted."""

import pytest
from sqlalchemy import select

from dynamo.db.tables import Deletion, Transfer
from dynamo.errors import Forbidden
from dynamo.inventory import schemas
from dynamo.inventory.states import RequestKind
from dynamo.operations.lifecycle import State
from dynamo.services import cancellation
from dynamo.services import retry as releases
from dynamo.services.sites import switches
from tests.conftest import Clock
from tests.services.world import ALICE, OPERATOR, World
from tests.steps.copies import complete_at, told
from tests.steps.links import learn
from tests.steps.sites import break_site, mend_site


def later(world: World, clock: Clock, times: int, hours: float = 13) -> None:
    """Let time pass, and the pools find what is due."""
    for _ in range(times):
        clock.forward(hours=hours)
        world.sweep()


def stop(world: World, name: str, *, stopped: bool = True) -> None:
    """Turn a switch."""
    switches.update(world.ctx, name, schemas.SwitchBody(stopped=stopped), OPERATOR)


@pytest.fixture
def scattered(world: World) -> World:
    """Two blocks, one at T2_A and one at T2_B, of a dataset that is closed."""
    world.many("T2_A", 5)
    world.many("T2_B", 5)
    world.close()
    world.work()
    return world


@pytest.fixture
def impatient(world: World) -> World:
    """Ten files at T2_A; what fails is tried again soon, and held when it fails again."""
    retry = {"first_seconds": 1, "attempts": 2}
    world.ctx = world.with_settings(block={"max_files": 5}, retry=retry)
    world.many("T2_A", 10)
    world.work()
    return world


def copy_only(world: World) -> None:
    """Let the pools do all but delete."""
    while others := [hint.task for hint in world.published if hint.task != "delete"]:
        world.step(others[0])


def test_a_gathering_that_may_delete_nothing_says_who_has_stopped_it(
    scattered: World, clock: Clock
):
    stop(scattered, "deletions")
    request = scattered.copy("T2_C")
    scattered.work()

    why = "an operator has stopped the deletion of the old copies"
    assert told(scattered, request) == ("held", "switched-off", why)
    stop(scattered, "deletions", stopped=False)
    later(scattered, clock, 1)
    assert told(scattered, request) == ("done", None, None)


def test_a_gathering_whose_new_site_went_away_says_that_the_old_copies_are_the_last(
    scattered: World, clock: Clock
):
    stop(scattered, "deletions")
    request = scattered.copy("T2_C")
    scattered.work()
    scattered.status("T2_C", "waitroom")
    stop(scattered, "deletions", stopped=False)
    later(scattered, clock, 1)

    why = "the old copies stay while T2_C is not ready or to be emptied"
    assert told(scattered, request) == ("held", "last-copy", why)
    scattered.status("T2_C", "ready")
    later(scattered, clock, 1)
    assert told(scattered, request)[0] == "done"


def test_a_gathering_at_a_site_that_the_settings_want_emptied_says_so(
    scattered: World, clock: Clock
):
    stop(scattered, "deletions")
    request = scattered.copy("T2_C")
    scattered.work()
    scattered.ctx = scattered.with_settings(block={"max_files": 5}, dealer={"leaving": ["T2_C"]})
    stop(scattered, "deletions", stopped=False)
    later(scattered, clock, 1)

    assert told(scattered, request)[:2] == ("held", "last-copy")


def test_a_gathering_waits_its_turn_where_much_is_leaving_already(world: World, clock: Clock):
    world.many("T2_A", 10)
    world.close()
    world.work()
    world.ctx = world.with_settings(block={"max_files": 5}, deletion={"site_bytes": 1})
    request = world.copy("T2_C")
    copy_only(world)

    why = "the old copies follow when less is leaving their sites"
    assert told(world, request) == ("running", "waiting", why)
    world.work()
    later(world, clock, 3)
    assert told(world, request)[0] == "done"
    assert world.on_disk("T2_A") == {}


def test_a_gathering_waits_for_copies_that_read_what_it_gathers(world: World, clock: Clock):
    world.many("T2_A", 5)
    world.close()
    world.work()
    break_site(world, "T2_B")
    other = world.copy("T2_B", consolidate=False)
    request = world.copy("T2_C")
    world.work()

    why = "the old copies are still read from"
    assert told(world, request) == ("running", "waiting", why)
    mend_site(world, "T2_B")
    later(world, clock, 3)
    assert [told(world, one)[0] for one in (request, other)] == ["done", "done"]
    assert world.on_disk("T2_A") == {}


def test_a_gathering_says_why_the_old_copies_cannot_be_deleted(scattered: World, clock: Clock):
    scattered.ctx = scattered.with_settings(
        block={"max_files": 5}, retry={"first_seconds": 1}, deletion={"grace_hours": 0}
    )
    request = scattered.copy("T2_C")
    copy_only(scattered)
    break_site(scattered, "T2_A")
    scattered.work()
    later(scattered, clock, 8)

    state, reason, detail = told(scattered, request)
    with scattered.ctx.begin.reading() as work:
        failing = work.rows(select(Deletion.reason, Deletion.error))
    assert len(failing) == 5
    assert state == "held"
    assert reason in {row.reason for row in failing}
    start = "an old copy cannot be deleted yet: "
    assert str(detail).removeprefix(start) in {row.error for row in failing}
    mend_site(scattered, "T2_A")
    later(scattered, clock, 4)
    assert told(scattered, request) == ("done", None, None)


@pytest.mark.parametrize("switches_off", [("deletions",), ("site:T2_A", "site:T2_B")])
def test_a_gathering_that_is_stopped_while_it_deletes_says_so(
    scattered: World, clock: Clock, switches_off: tuple[str, ...]
):
    request = scattered.copy("T2_C")
    copy_only(scattered)
    for name in switches_off:
        stop(scattered, name)
    scattered.work()
    later(scattered, clock, 1)

    assert told(scattered, request)[:2] == ("held", "switched-off")
    for name in switches_off:
        stop(scattered, name, stopped=False)
    later(scattered, clock, 1)
    assert told(scattered, request) == ("done", None, None)


def test_a_second_request_for_the_same_copy_says_what_the_first_one_waits_for(
    impatient: World, clock: Clock
):
    impatient.close()
    impatient.work()
    learn(impatient, "T2_B", 100)
    first = impatient.copy("T2_B", consolidate=False)
    impatient.step("plan")
    second = impatient.copy("T2_B", consolidate=False, by=OPERATOR)
    impatient.step("plan")
    ends = [impatient.request("copy", one)["expected_end"] for one in (first, second)]
    assert ends[0] is not None
    assert ends[0] == ends[1]

    break_site(impatient, "T2_B")
    impatient.work()
    later(impatient, clock, 8, hours=3)
    assert told(impatient, first)[0] == "held"
    assert told(impatient, second) == told(impatient, first)
    assert len(impatient.problems("copy", first)) == 10
    assert impatient.problems("copy", second) == impatient.problems("copy", first)

    mend_site(impatient, "T2_B")
    later(impatient, clock, 4)
    for one in (first, second):
        assert told(impatient, one) == ("done", None, None)
        assert impatient.problems("copy", one) == []


def test_a_request_for_one_block_says_nothing_of_what_others_wait_for(
    impatient: World, clock: Clock
):
    break_site(impatient, "T2_B")
    impatient.copy("T2_B", consolidate=False)
    impatient.work()
    block = impatient.block_names()[0]
    one = impatient.copy("T2_B", blocks=(block,), consolidate=False)
    elsewhere = impatient.copy("T2_C", consolidate=False)
    impatient.work()
    later(impatient, clock, 4, hours=3)

    assert len(impatient.problems("copy", one)) == 5
    assert impatient.problems("copy", elsewhere) == []
    mend_site(impatient, "T2_B")


def test_a_growing_dataset_that_cannot_be_copied_says_so_and_is_copied_when_it_can(
    impatient: World, clock: Clock
):
    break_site(impatient, "T2_B")
    request = impatient.copy("T2_B", consolidate=False)
    impatient.work()
    later(impatient, clock, 40, hours=20)

    state, reason, detail = told(impatient, request)
    problems = impatient.problems("copy", request)
    assert state == "held"
    assert reason in {"site-failing", *(one["reason"] for one in problems)}
    assert detail is not None
    mend_site(impatient, "T2_B")
    later(impatient, clock, 4, hours=20)
    assert len(impatient.on_disk("T2_B")) == 10
    assert len(complete_at(impatient, "T2_B")) == 2
    impatient.close()
    impatient.work()
    assert told(impatient, request)[0] == "done"


def test_what_cannot_be_copied_is_given_up_once_the_dataset_is_closed(
    impatient: World, clock: Clock
):
    break_site(impatient, "T2_B")
    request = impatient.copy("T2_B", consolidate=False)
    impatient.work()
    later(impatient, clock, 40, hours=20)
    assert told(impatient, request)[0] == "held"
    impatient.close()
    impatient.work()
    later(impatient, clock, 10, hours=20)

    assert told(impatient, request)[0] == "failed"
    assert impatient.problems("copy", request)
    mend_site(impatient, "T2_B")


def test_two_requests_for_what_cannot_be_copied_both_end(impatient: World, clock: Clock):
    retry = {"first_seconds": 1, "attempts": 2, "give_up_days": 5}
    impatient.ctx = impatient.with_settings(block={"max_files": 5}, retry=retry)
    impatient.close()
    impatient.work()
    break_site(impatient, "T2_B")
    first = impatient.copy("T2_B", consolidate=False)
    impatient.work()
    later(impatient, clock, 5, hours=20)
    second = impatient.copy("T2_B", consolidate=False, by=OPERATOR)
    impatient.work()

    later(impatient, clock, 8, hours=20)
    state, reason, detail = told(impatient, first)
    assert (state, reason) == ("failed", "destination-error")
    assert detail is not None
    assert told(impatient, second)[0] in {"running", "held"}, "it tries as long as any other"
    assert impatient.problems("copy", second)
    later(impatient, clock, 12, hours=20)
    assert told(impatient, second) == (state, reason, detail)

    mend_site(impatient, "T2_B")
    again = impatient.copy("T2_B", consolidate=False)
    impatient.work()
    later(impatient, clock, 3, hours=1)
    assert told(impatient, again)[0] == "done"


def test_a_growing_dataset_is_copied_although_the_request_that_was_cancelled_had_given_up(
    impatient: World, clock: Clock
):
    retry = {"first_seconds": 1, "attempts": 2, "give_up_days": 5}
    impatient.ctx = impatient.with_settings(block={"max_files": 5}, retry=retry)
    impatient.many("T2_A", 2, start=10)
    impatient.work()
    break_site(impatient, "T2_B")
    blocks = impatient.block_names()
    first = impatient.copy("T2_B", blocks=(blocks[0], blocks[2]), consolidate=False)
    impatient.work()
    later(impatient, clock, 12, hours=20)
    assert impatient.count(Transfer, Transfer.state == State.FAILED) == 5
    second = impatient.copy("T2_B", consolidate=False)
    cancellation.cancel(impatient.ctx, RequestKind.COPY, first, ALICE)
    mend_site(impatient, "T2_B")
    impatient.work()

    later(impatient, clock, 3, hours=1)
    assert len(complete_at(impatient, "T2_B")) == 2
    assert told(impatient, second)[1] == "waiting", "for the block that is still filled"


def test_a_release_frees_what_another_request_carries_for_it(impatient: World, clock: Clock):
    impatient.close()
    impatient.work()
    first = impatient.copy("T2_B", consolidate=False, by=OPERATOR)
    impatient.step("plan")
    elsewhere = impatient.copy("T2_C", consolidate=False, by=OPERATOR)
    impatient.step("plan")
    second = impatient.copy("T2_B", consolidate=False)
    break_site(impatient, "T2_B")
    break_site(impatient, "T2_C")
    impatient.work()
    later(impatient, clock, 8, hours=3)
    assert told(impatient, second)[0] == "held"
    mend_site(impatient, "T2_B")

    with pytest.raises(Forbidden):
        releases.release(impatient.ctx, schemas.Release(request=first), ALICE)
    freed = releases.release(impatient.ctx, schemas.Release(request=second), ALICE)
    later(impatient, clock, 3, hours=1)

    assert freed["transfers"] == 10
    assert [told(impatient, one)[0] for one in (first, second)] == ["done", "done"]
    assert told(impatient, elsewhere)[0] != "done", "nobody has mended that site"


@pytest.mark.parametrize("kind", ["injection", "closure"])
def test_a_release_frees_the_files_of_an_earlier_injection(world: World, clock: Clock, kind: str):
    world.ctx = world.with_settings(retry={"first_seconds": 1, "attempts": 2})
    file = world.pulled("T2_A", "out.root", b"events")
    world.output_path("T2_A", "out.root").unlink()
    first = world.inject("T2_A", [file])
    waiting = world.close() if kind == "closure" else world.inject("T2_A", [file])
    world.work()
    later(world, clock, 3, hours=1)
    assert [one["reason"] for one in world.problems(kind, waiting)] == ["source-missing"]
    world.output("T2_A", "out.root", b"events")

    freed = releases.release(world.ctx, schemas.Release(request=waiting), ALICE)
    world.work()
    later(world, clock, 1, hours=1)

    assert freed["transfers"] == 1
    assert [world.request("injection", first)["state"], world.request(kind, waiting)["state"]] == [
        "done",
        "done",
    ]
