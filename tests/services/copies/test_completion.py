"""Where a site has only a part of what is wanted, the rest is sent for, or it is said why not."""

import pytest
from sqlalchemy import select

from dynamo.db.tables import BlockReplica, Site, Transfer
from dynamo.inventory import schemas
from dynamo.inventory.states import RequestKind
from dynamo.operations.lifecycle import State
from dynamo.services import cancellation
from dynamo.services.copies import submission as copies_submission
from tests.conftest import Clock
from tests.services.world import World
from tests.steps.blocks import CONTENT, lay_out
from tests.steps.official import PROD, RAW, dataset, names, register
from tests.steps.sites import break_site, mend_site
from tests.steps.spoiling import scan


def copy_to(world: World, site: str) -> int:
    return copies_submission.file(world.ctx, schemas.Copy(dataset=RAW, site=site), PROD)


def whole(world: World) -> list[str]:
    """Return the sites that hold the whole block."""
    with world.ctx.begin.reading() as work:
        here = select(Site.name).join(BlockReplica, BlockReplica.site_id == Site.id)
        return sorted(work.scalars(here.where(BlockReplica.complete.is_(True))))


@pytest.mark.parametrize(
    "at",
    [{"T2_A": [0, 1, 2], "T2_B": [1]}, {"T2_A": [0, 1], "T2_C": [2], "T2_B": [1]}],
    ids=["of-a-whole-copy", "of-parts"],
)
def test_the_rest_of_a_part_is_sent_for(world: World, at: dict[str, list[int]]):
    lay_out(world, at)
    booked = world.projected("T2_B")

    requests = [copy_to(world, "T2_B") for _ in range(2)]
    world.work()

    assert [world.request("copy", one)["state"] for one in requests] == ["done", "done"]
    assert world.on_disk("T2_B") == dict.fromkeys(names("b1", 3), CONTENT)
    assert "T2_B" in whole(world)
    assert world.projected("T2_B") == booked, "the whole block was booked before"


def test_a_block_that_lies_in_parts_is_copied_from_them(world: World):
    lay_out(world, {"T2_A": [0, 1], "T2_B": [1, 2]})
    request = copy_to(world, "T2_C")
    world.work()

    assert world.request("copy", request)["state"] == "done"
    assert world.on_disk("T2_C") == dict.fromkeys(names("b1", 3), CONTENT)
    assert whole(world) == ["T2_C"]


def test_a_block_of_which_a_part_can_be_read_nowhere_waits_for_it(world: World, clock: Clock):
    lay_out(world, {"T2_A": [0, 1], "T2_B": [2]})
    world.status("T2_B", "unknown")
    request = copy_to(world, "T2_C")
    world.work()

    shown = world.request("copy", request)
    assert (shown["state"], shown["reason"]) == ("held", "no-source")
    assert world.count(Transfer) == 0

    world.status("T2_B", "waitroom")
    clock.forward(minutes=2)
    world.sweep()
    assert whole(world) == ["T2_C"]


def test_what_nobody_has_is_said(world: World, clock: Clock):
    lay_out(world, {"T2_A": [0, 1, 2], "T2_B": [1]})
    world.status("T2_A", "unknown")

    request = copy_to(world, "T2_B")
    world.work()

    shown = world.request("copy", request)
    assert (shown["state"], shown["reason"]) == ("held", "no-source")
    assert world.count(Transfer) == 0

    world.status("T2_A", "ready")
    clock.forward(minutes=2)
    world.sweep()
    assert whole(world) == ["T2_A", "T2_B"]


def test_a_cancelled_request_leaves_the_part_as_it_was(world: World):
    lay_out(world, {"T2_A": [0, 1, 2], "T2_B": [1]})
    request = copy_to(world, "T2_B")
    world.step("plan")
    assert world.count(Transfer) == 2

    cancellation.cancel(world.ctx, RequestKind.COPY, request, PROD)
    world.work()

    assert world.on_disk("T2_B") == {names("b1", 3)[1]: CONTENT}
    assert world.count(Transfer) == 0


def test_copies_that_are_given_up_say_why_and_may_be_asked_for_again(world: World, clock: Clock):
    lay_out(world, {"T2_A": [0, 1, 2]})
    break_site(world, "T2_B")
    request = copy_to(world, "T2_B")
    for _ in range(40):
        world.work()
        clock.forward(hours=20)
        world.sweep()

    shown = world.request("copy", request)
    assert (shown["state"], shown["reason"]) == ("failed", "destination-error")
    assert {one["reason"] for one in world.problems("copy", request)} == {"destination-error"}

    mend_site(world, "T2_B")
    again = copy_to(world, "T2_B")
    for _ in range(3):
        world.sweep()
        clock.forward(hours=1)
    assert world.request("copy", again)["state"] == "done"
    assert whole(world) == ["T2_A", "T2_B"]


@pytest.mark.parametrize("again", ["there", "elsewhere"])
def test_copies_that_had_nothing_to_read_go_on_as_soon_as_there_is_something(
    world: World, clock: Clock, again: str
):
    world.ctx = world.with_settings(
        retry={"first_seconds": 1, "attempts": 2}, consistency={"areas": ["/store/Cosmics"]}
    )
    lay_out(world, {"T2_A": [0, 1, 2]})
    lfn = names("b1", 3)[1]
    world.path("T2_A", lfn).unlink()
    request = copy_to(world, "T2_B")
    for _ in range(4):
        world.work()
        clock.forward(minutes=1)
        world.sweep()
    assert world.request("copy", request)["reason"] == "no-source"
    assert world.count(Transfer, Transfer.state == State.HELD) == 1

    site = {"there": "T2_A", "elsewhere": "T2_C"}[again]
    path = world.path(site, lfn)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(CONTENT)
    if again == "there":
        scan(world, site)
    else:
        register(world, dataset({"name": "b1", "replicas": [{"site": site, "files": [lfn]}]}))
    clock.forward(minutes=2)
    world.sweep()
    assert "T2_B" in whole(world)
    clock.forward(minutes=2)
    world.sweep()
    assert world.request("copy", request)["state"] == "done"
