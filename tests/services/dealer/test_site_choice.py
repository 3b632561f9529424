"""Which of several sites a copy goes to is decided once, and by nobody who has lost the lease."""

from datetime import timedelta
from threading import Barrier, Thread

import pytest
from sqlalchemy import select

from dynamo.db import requests
from dynamo.db.cycles import cycles
from dynamo.db.cycles.cycles import HeldCycle, NewCycle
from dynamo.db.tables import Partition, Transfer
from dynamo.inventory.request_bodies import CopyBody
from dynamo.services.copies import chosen_sites
from dynamo.services.copies import queries as copy_queries
from dynamo.services.copies.chosen_sites import Choice
from dynamo.services.dealer import cycle as dealer_cycle
from dynamo.services.dealer.orders import RequestIndex
from dynamo.services.leases import CycleLost
from dynamo.services.replication import scheduler
from tests.services.world import World


@pytest.fixture
def request_id(world: World) -> int:
    """A copy that is wanted at one of two sites, and that nobody has looked at."""
    world.many("T2_A", 5)
    world.close()
    world.work()
    key = world.copy(["T2_B", "T2_C"], copies=1, consolidate=False)
    world.published.clear()
    return key


def chosen(world: World, request_id: int) -> tuple[str, ...] | None:
    """Return the sites that were chosen, if any."""
    with world.ctx.begin.reading() as work:
        request = requests.get(work, request_id, CopyBody)
    assert request is not None
    return request.body.chosen


def cycle(world: World) -> HeldCycle:
    """Let somebody begin a cycle of the Dealer."""
    with world.ctx.begin() as work:
        partition = work.scalar(select(Partition.id).where(Partition.name == "User"))
        key = cycles.file(work, NewCycle("dealer", partition, "test", None))
        held = cycles.claim(work, key, "test", {"dealer": timedelta(minutes=5)})
    assert held is not None
    return held


def test_of_two_plans_at_once_one_chooses(world: World, request_id: int) -> None:
    copy_request = copy_queries.read(world.ctx, request_id)
    assert copy_request is not None
    together = Barrier(2)
    lost: dict[str, set[int]] = {}

    def choose(site: str) -> None:
        together.wait()
        choice = {request_id: Choice(copy_request, frozenset({site}))}
        lost[site] = chosen_sites.choose(world.ctx, choice, scheduler.nobody)

    threads = [Thread(target=choose, args=(site,)) for site in ("T2_B", "T2_C")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    (winner,) = (site for site, ids in lost.items() if not ids)
    assert chosen(world, request_id) == (winner,)


def test_a_cycle_that_has_lost_its_lease_chooses_nothing(world: World, request_id: int) -> None:
    held = cycle(world)
    seen = dealer_cycle.load(world.ctx, held)
    plan = dealer_cycle.decided(world.ctx.settings, seen)
    with world.ctx.begin() as work:
        cycles.give_up(work, held.id)

    with pytest.raises(CycleLost):
        dealer_cycle.carry_out(world.ctx, held, seen, plan, RequestIndex.of(seen.requested))

    assert chosen(world, request_id) is None


def test_a_cycle_sends_nothing_for_a_request_that_another_plan_was_faster_with(
    world: World, request_id: int
) -> None:
    held = cycle(world)
    seen = dealer_cycle.load(world.ctx, held)
    plan = dealer_cycle.decided(world.ctx.settings, seen)
    place = int(plan.copies.site[0])
    [other] = {"T2_B", "T2_C"} - {seen.inventory.snapshot.sites.labels[place]}
    copy_request = copy_queries.read(world.ctx, request_id)
    assert copy_request is not None
    chosen_sites.choose(
        world.ctx, {request_id: Choice(copy_request, frozenset({other}))}, scheduler.nobody
    )

    sent = dealer_cycle.carry_out(world.ctx, held, seen, plan, RequestIndex.of(seen.requested))

    assert len(plan.copies) == 1
    assert sent.blocks == 0
    assert world.count(Transfer, Transfer.kind == "copy") == 0
