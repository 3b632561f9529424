"""Workers that are killed in mid work: another does it, once."""

import pytest
from sqlalchemy import select

from dynamo.db.tables import History
from tests.faults.endings import assert_all_ended, how_many, seen
from tests.faults.outputs import large_output, temporaries
from tests.faults.plant import Plant, quickly
from tests.services.world import lfn

pytestmark = pytest.mark.slow


def times(plant: Plant, what: str) -> list[int]:
    """Return how many files each event of a kind concerned."""
    with plant.world.ctx.begin.reading() as work:
        return work.scalars(
            select(History.n_files).where(History.what == what).order_by(History.id)
        )


def test_a_copy_whose_worker_is_killed_is_done_once_by_another(small_plant: Plant):
    world = small_plant.world
    first = small_plant.start()
    request = world.inject("T2_A", [large_output(small_plant, "T2_A", "large.root")])
    quickly(lambda: temporaries(small_plant, "T2_A"))
    first.freeze()  # so that it cannot finish while we look
    assert not world.path("T2_A", lfn("large.root")).exists()
    first.kill()

    small_plant.start()
    small_plant.until_done(("injection", request))

    assert seen(world.folder / "T2_A") == {
        lfn("large.root"): next(iter(seen(world.folder / "T2_A-scratch").values()))
    }
    assert times(small_plant, "arrived") == [1]
    assert_all_ended(world)


def test_a_deletion_whose_worker_is_killed_is_finished_by_another(small_plant: Plant):
    world = small_plant.world
    small_plant.start("inject", "copy", "close", "policy")
    injected = world.many("T2_A", 1500)
    closed = world.close()
    small_plant.until_done(("injection", injected), ("closure", closed))
    copied = world.copy("T2_B", consolidate=False)
    small_plant.until_done(("copy", copied))
    everything = seen(world.folder / "T2_A")

    first = small_plant.start("delete")
    deleted = world.delete(site="T2_A")
    quickly(lambda: how_many(world.folder / "T2_A") < 1490)
    first.freeze()
    left = seen(world.folder / "T2_A")
    assert 0 < len(left) < 1500
    first.kill()
    small_plant.start("delete")
    small_plant.until_done(("deletion", deleted))

    assert seen(world.folder / "T2_A") == {}
    assert seen(world.folder / "T2_B") == everything
    assert len(everything) == 1500
    assert world.projected("T2_A") == 0
    assert_all_ended(world)
