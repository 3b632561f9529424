"""When things will be done: guessed by what the links have carried, and how many work on them."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from dynamo.clock import rfc3339
from dynamo.db.tables import Site, Stream, Transfer
from dynamo.db.transfers import links
from dynamo.db.transfers.links import Moved
from dynamo.inventory import schemas
from dynamo.services.evacuation import runner as evacuation_runner
from dynamo.services.evacuation import status as evacuation_status
from dynamo.services.sites import sites, switches
from tests.conftest import Clock
from tests.services.world import OPERATOR, World
from tests.steps.dealer_cycles import run
from tests.steps.links import learn


@pytest.fixture
def filled(world: World) -> World:
    """Ten files in two blocks at T2_A."""
    world.many("T2_A", 10)
    world.close()
    world.work()
    return world


def streams(world: World, site: str, n: int, *, minutes: float = 5) -> None:
    """Let so many streams work on the link from T2_A for so long."""
    with world.ctx.begin() as work:
        ids = dict(work.rows(select(Site.name, Site.id)))
        ends = {"source_id": ids["T2_A"], "site_id": ids[site]}
        until = work.now + timedelta(minutes=minutes)
        for number in range(n):
            owner = f"{site} {minutes} {number}"
            work.add(Stream, owner=owner, user_id=0, until=until, **ends)


def in_seconds(clock: Clock, seconds: float) -> str:
    return rfc3339(clock.now + timedelta(seconds=seconds))


def test_a_copy_ends_when_its_slowest_link_has_carried_its_part(filled: World, clock: Clock):
    request = filled.copy(["T2_B", "T2_C"])
    filled.step("plan")
    assert filled.request("copy", request)["expected_end"] is None  # nothing is known of any link

    learn(filled, "T2_B", 100)
    # of the other link nothing is known: it is taken for as fast
    assert filled.request("copy", request)["expected_end"] == in_seconds(clock, 100)
    learn(filled, "T2_C", 400)
    assert filled.request("copy", request)["expected_end"] == in_seconds(clock, 400)
    streams(filled, "T2_C", 2)
    streams(filled, "T2_C", 2, minutes=-1)
    assert filled.request("copy", request)["expected_end"] == in_seconds(clock, 200)


def test_what_is_not_on_its_way_yet_counts_as_well(filled: World, clock: Clock):
    filled.ctx = filled.with_settings(dealer={"pending": 0.1, "pending_bytes": 0})
    size = filled.projected("T2_A")
    filled.site_quota("T2_B", 6 * size)  # one of two blocks may be on its way
    learn(filled, "T2_B", 100)
    request = filled.copy("T2_B", consolidate=False)
    filled.step("plan")

    assert 0 < filled.projected("T2_B") < size
    assert filled.request("copy", request)["expected_end"] == in_seconds(clock, 100)


def test_what_brought_no_byte_tells_nothing_of_a_link(filled: World, clock: Clock):
    with filled.ctx.begin() as work:
        ids = dict(work.rows(select(Site.name, Site.id)))
        here = (ids["T2_A"], ids["T2_B"])
        links.learn(work, {here: Moved(0, 1.0)}, timedelta(hours=1))
    request = filled.copy("T2_B", consolidate=False)
    filled.step("plan")

    assert filled.request("copy", request)["expected_end"] is None


def test_an_evacuation_ends_when_its_slowest_link_has_carried_its_part(filled: World, clock: Clock):
    filled.site_quota("T2_C", 10)
    sites.update(filled.ctx, "T2_A", schemas.SiteBody(status="morgue"), OPERATOR)
    learn(filled, "T2_B", 100)
    run(filled)

    grace = 24 * 3600
    assert evacuation_status.get(filled.ctx, "T2_A")["expected_end"] == in_seconds(
        clock, grace + 100
    )
    streams(filled, "T2_B", 2)
    assert evacuation_status.get(filled.ctx, "T2_A")["expected_end"] == in_seconds(
        clock, grace + 50
    )


def test_what_of_a_dying_site_waits_will_go_as_what_is_on_its_way(world: World, clock: Clock):
    world.ctx = world.with_settings(
        block={"max_files": 5}, dealer={"pending": 0.1, "pending_bytes": 0}
    )
    world.many("T2_A", 50)
    world.close()
    world.work()
    world.site_quota("T2_B", 2 * world.projected("T2_A"))
    world.site_quota("T2_C", 10)
    learn(world, "T2_B", 100)
    sites.update(world.ctx, "T2_A", schemas.SiteBody(status="morgue"), OPERATOR)
    assert evacuation_status.get(world.ctx, "T2_A")["expected_end"] is None, "nothing is on its way"
    run(world)

    told = evacuation_status.get(world.ctx, "T2_A")
    fates = {fate: one["files"] for fate, one in told["by_fate"].items()}
    assert fates == {"moving": 10, "waiting": 40}
    assert told["expected_end"] == in_seconds(clock, 24 * 3600 + 100)


def test_an_evacuation_of_which_something_is_stuck_has_no_end(filled: World):
    filled.site_quota("T2_C", 10)
    sites.update(filled.ctx, "T2_A", schemas.SiteBody(status="morgue"), OPERATOR)
    learn(filled, "T2_B", 100)
    run(filled)
    with filled.ctx.begin() as work:
        one = work.scalar(select(func.min(Transfer.id)).where(Transfer.kind == "copy"))
        work.changed(
            update(Transfer).where(Transfer.id == one).values(state="held", reason="no-source")
        )

    told = evacuation_status.get(filled.ctx, "T2_A")
    assert told["by_fate"].keys() == {"moving", "stuck"}
    assert told["expected_end"] is None


def test_what_is_only_deleted_ends_with_its_grace(filled: World, clock: Clock):
    filled.copy("T2_B", consolidate=False)
    filled.work()
    sites.update(filled.ctx, "T2_A", schemas.SiteBody(status="morgue"), OPERATOR)
    assert evacuation_status.get(filled.ctx, "T2_A")["expected_end"] == in_seconds(clock, 24 * 3600)
    evacuation_runner.evacuate(filled.ctx)
    clock.forward(hours=5)
    assert evacuation_status.get(filled.ctx, "T2_A")["expected_end"] == in_seconds(clock, 19 * 3600)


@pytest.mark.parametrize(("switch", "days"), [(None, 2), ("site:T2_A", 0)])
def test_an_evacuation_ends_neither_in_the_past_nor_while_its_site_is_stopped(
    filled: World, clock: Clock, switch: str | None, days: int
):
    filled.copy("T2_B", consolidate=False)
    filled.work()
    sites.update(filled.ctx, "T2_A", schemas.SiteBody(status="morgue"), OPERATOR)
    evacuation_runner.evacuate(filled.ctx)
    if switch is not None:
        switches.update(filled.ctx, switch, schemas.SwitchBody(stopped=True), OPERATOR)
    clock.forward(days=days)

    end = evacuation_status.get(filled.ctx, "T2_A")["expected_end"]

    assert end == (in_seconds(clock, 0) if switch is None else None)
