"""What nobody has leaves the blocks of dying sites; what comes again and what is whole do not."""

import pytest
from sqlalchemy import select

from dynamo.db.catalogue import replicas
from dynamo.db.tables import Block, File, Site, Transfer
from dynamo.inventory import schemas
from dynamo.services.consistency import repair
from dynamo.services.consistency.repair import Bad
from dynamo.services.evacuation import runner as evacuation_runner
from dynamo.services.sites import sites
from tests.conftest import Clock
from tests.services.world import OPERATOR, World, lfn
from tests.steps.spoiling import content, scan

LOST = lfn("T2_A_0.root")


def copied(world: World) -> None:
    """Let a full block of five files lie at A and at B."""
    world.many("T2_A", 5)
    world.work()
    world.copy("T2_B", consolidate=False)
    world.work()


def lose(world: World, *at: str) -> None:
    """Let a file be found missing at sites, one after the other."""
    for name in at:
        world.path(name, LOST).unlink()
        with world.ctx.begin() as work:
            site = work.row(select(Site.id, Site.name).where(Site.name == name))
            file = repair.still_there(work, site.id, LOST)
            replicas.lock_blocks(work, [file.block_id])
            repair.mend(work, world.ctx, Bad(file, site.id, name, "missing", "scan"))
    world.work()


def give_up(world: World, name: str) -> None:
    """Let a site die, and what nobody has be taken out of its blocks."""
    sites.update(world.ctx, name, schemas.SiteBody(status="morgue"), OPERATOR)  # type: ignore[arg-type]
    evacuation_runner.evacuate(world.ctx)


def block_mates(world: World, name: str) -> list[str]:
    """Return the files that share a block with one."""
    with world.ctx.begin.reading() as work:
        block = select(File.block_id).where(File.lfn == name).scalar_subquery()
        mates = select(File.lfn).where(File.block_id == block, File.lfn != name)
        return sorted(work.scalars(mates))


def test_a_file_that_was_lost_at_two_sites_and_comes_again_stays_in_its_block(
    world: World,
) -> None:
    copied(world)
    mates = block_mates(world, LOST)
    lose(world, "T2_A", "T2_B")
    with world.ctx.begin() as work:
        assert repair.give_up_hopeless(work) == 1, "it is lost at both"
    again = world.inject("T2_A", [world.pulled("T2_A", "T2_A_0.root", content(LOST))])

    give_up(world, "T2_B")
    assert block_mates(world, LOST) == mates
    world.work()
    assert world.request("injection", again)["state"] == "done"
    assert world.on_disk("T2_A").keys() == {LOST, *mates}


@pytest.mark.parametrize("order", [("T2_A", "T2_B"), ("T2_B", "T2_A")])
@pytest.mark.parametrize("again", ["T2_A", "T2_B"])
def test_a_file_that_was_lost_at_two_sites_and_comes_again_is_copied_as_before(
    world: World, clock: Clock, order: tuple[str, str], again: str
) -> None:
    copied(world)
    lose(world, *order)
    with world.ctx.begin() as work:
        assert repair.give_up_hopeless(work) == 1, "it is lost at both"

    calls = []
    for _ in range(3):
        calls.append(world.inject(again, [world.pulled(again, "T2_A_0.root", content(LOST))]))
        with world.ctx.begin() as work:
            assert repair.give_up_hopeless(work) == 0, "it is on its way"
        if len(calls) > 1:
            world.work()
    world.close()
    for _ in range(3):
        clock.forward(hours=20)
        world.sweep()
    assert [world.request("injection", call)["state"] for call in calls] == ["done"] * 3
    assert len(world.on_disk("T2_B")) == 5, "the copy that was wanted is whole"
    assert world.count(Transfer, Transfer.state != "done") == 0


def test_a_file_that_comes_again_where_it_was_lost_last_is_not_lost_where_it_was_lost_first(
    world: World, clock: Clock
) -> None:
    copied(world)
    lose(world, "T2_A", "T2_B")
    world.inject("T2_B", [world.pulled("T2_B", "T2_A_0.root", content(LOST))])
    with world.ctx.begin() as work:
        assert repair.give_up_hopeless(work) == 0
    world.work()
    scan(world, "T2_B")  # finds that it is there again
    for _ in range(3):
        clock.forward(hours=20)
        world.sweep()
    assert len(world.on_disk("T2_A")) == len(world.on_disk("T2_B")) == 5


def test_what_leaves_its_block_comes_to_lie_with_nothing_that_is_whole(world: World) -> None:
    copied(world)
    lose(world, "T2_A", "T2_B")
    world.many("T2_B", 2)
    world.work()
    assert (2, False) in world.blocks()

    give_up(world, "T2_A")
    assert block_mates(world, LOST) == []
    assert block_mates(world, lfn("T2_B_0.root")) == [lfn("T2_B_1.root")]
    assert world.count(Block) == 3
