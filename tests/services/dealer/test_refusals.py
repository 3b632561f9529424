"""Sites that were chosen for a copy and do not take its files: others are chosen instead."""

import pytest

from tests.conftest import Clock
from tests.services.world import World, lfn
from tests.steps.copies import chosen, complete_at, open_transfers, told

LAST = lfn("T2_A_9.root")
"""A file of the second of two blocks."""


def ask(world: World, *, copies: int = 1) -> int:
    """Let two blocks lie at T2_A, and be wanted at some of the other sites."""
    world.many("T2_A", 10)
    world.close()
    world.work()
    request = world.copy(["T2_[BCD]"], copies=copies, consolidate=False)
    world.step("plan")
    return request


def obstruct(world: World, *sites: str) -> None:
    """Let a folder lie at sites where a file is to come."""
    for site in sites:
        world.path(site, LAST).mkdir(parents=True)


def go_on(world: World, clock: Clock, hours: float, every: float = 0.5) -> None:
    """Let so many hours pass."""
    for _ in range(round(hours / every)):
        clock.forward(hours=every)
        world.sweep()


def break_down(world: World, site: str) -> None:
    """Let nothing be written at a site."""
    root = world.folder / site
    root.rename(world.folder / f"{site}-away")
    root.write_bytes(b"")


def repair(world: World, site: str) -> None:
    root = world.folder / site
    root.unlink()
    (world.folder / f"{site}-away").rename(root)


def test_another_site_is_chosen_for_one_that_refuses_a_file(world: World, clock: Clock):
    world.ctx = world.with_settings(block={"max_files": 5}, deletion={"grace_hours": 0})
    request = ask(world)
    (left,) = chosen(world, request)
    (other,) = {"T2_B", "T2_C"} - {left}
    obstruct(world, left)
    world.work()
    go_on(world, clock, hours=1, every=0.1)
    go_on(world, clock, hours=4.5)
    assert chosen(world, request) == [left]
    assert told(world, request)[:2] == ("held", "destination-error")

    go_on(world, clock, hours=2)

    assert chosen(world, request) == [other]
    assert world.request("copy", request)["refused"] == [left]
    assert told(world, request) == ("done", None, None)
    assert len(complete_at(world, other)) == 2
    assert open_transfers(world, left) == 0
    assert len(complete_at(world, left)) == 1  # what had arrived whole stays
    assert len(world.on_disk(left)) == 5


def test_where_all_sites_refuse_it_stays_and_says_why(world: World, clock: Clock):
    request = ask(world)
    (first,) = chosen(world, request)
    (last,) = {"T2_B", "T2_C"} - {first}
    obstruct(world, "T2_B", "T2_C")
    world.work()
    go_on(world, clock, hours=8, every=0.2)
    seen = []
    for _ in range(8):
        go_on(world, clock, hours=12, every=3)
        seen += chosen(world, request)

    assert seen == [last] * 8
    assert told(world, request)[:2] == ("held", "destination-error")

    world.path(last, LAST).rmdir()
    go_on(world, clock, hours=25, every=1)
    assert told(world, request)[0] == "done"
    assert chosen(world, request) == [last]


def test_as_long_as_no_other_site_can_take_it_it_stays_and_says_why(world: World, clock: Clock):
    world.site_quota("T2_C", 10)
    request = ask(world)
    assert chosen(world, request) == ["T2_B"]
    obstruct(world, "T2_B")
    world.work()
    go_on(world, clock, hours=8, every=0.2)
    assert chosen(world, request) == ["T2_B"]
    assert told(world, request)[:2] == ("held", "destination-error")
    assert world.request("copy", request)["progress"]["files"]["done"] == 9  # type: ignore[index]

    world.site_quota("T2_C", 10**9)
    go_on(world, clock, hours=1)
    assert (told(world, request)[0], chosen(world, request)) == ("done", ["T2_C"])


def test_of_several_chosen_sites_only_the_one_that_refuses_is_replaced(world: World, clock: Clock):
    world.site("T2_D")
    request = ask(world, copies=2)
    left, kept = chosen(world, request)
    (other,) = {"T2_B", "T2_C", "T2_D"} - {left, kept}
    obstruct(world, left)
    world.work()
    go_on(world, clock, hours=8, every=0.2)

    assert chosen(world, request) == sorted([kept, other])
    assert told(world, request)[0] == "done"
    assert [len(world.on_disk(site)) for site in (kept, other)] == [10, 10]


def test_a_site_that_refused_is_tried_again_when_the_other_is_lost(world: World, clock: Clock):
    world.ctx = world.with_settings(block={"max_files": 5}, deletion={"grace_hours": 0})
    request = ask(world)
    (first,) = chosen(world, request)
    (other,) = {"T2_B", "T2_C"} - {first}
    obstruct(world, "T2_B", "T2_C")
    world.work()
    go_on(world, clock, hours=8, every=0.2)
    assert chosen(world, request) == [other]
    world.path(first, LAST).rmdir()
    world.status(other, "morgue")
    go_on(world, clock, hours=26, every=1)  # what was to be deleted there is tried daily as well

    assert (told(world, request)[0], chosen(world, request)) == ("done", [first])
    assert world.request("copy", request).get("refused") is None


@pytest.mark.parametrize("hours", [2, 5])
def test_a_short_outage_of_a_chosen_site_moves_nothing(world: World, clock: Clock, hours: float):
    request = ask(world)
    (failing,) = chosen(world, request)
    (other,) = {"T2_B", "T2_C"} - {failing}
    break_down(world, failing)
    world.work()
    go_on(world, clock, hours, every=0.1)
    assert told(world, request)[0] == "held"
    repair(world, failing)
    go_on(world, clock, hours=2, every=0.1)

    assert (told(world, request)[0], chosen(world, request)) == ("done", [failing])
    assert world.on_disk(other) == {}


def test_a_long_outage_of_a_chosen_site_does(world: World, clock: Clock):
    request = ask(world)
    (failing,) = chosen(world, request)
    (other,) = {"T2_B", "T2_C"} - {failing}
    break_down(world, failing)
    world.work()
    go_on(world, clock, 8, every=0.2)

    assert (told(world, request)[0], chosen(world, request)) == ("done", [other])
    assert len(world.on_disk(other)) == 10
    repair(world, failing)
