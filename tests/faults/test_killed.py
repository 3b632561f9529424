"""Workers that are killed in mid work: another does it, once."""

from pathlib import Path

import pytest
from sqlalchemy import select

from dynamo.db.tables import History
from dynamo.inventory import schemas
from tests.faults.endings import assert_all_ended, how_many, seen
from tests.faults.plant import Plant, quickly
from tests.services.world import lfn

pytestmark = pytest.mark.slow

LARGE = 300 * 2**20


def large_output(plant: Plant, site: str, name: str) -> schemas.InjectedFile:
    """Make a large output, mostly of holes, whose size and checksum Dynamo is to read."""
    path = plant.world.output_path(site, name)
    with path.open("wb") as stream:
        stream.write(b"begin")
        stream.seek(LARGE - 3)
        stream.write(b"end")
    return schemas.InjectedFile(lfn=lfn(name), source=f"file://{path}")


def temporaries(plant: Plant, site: str) -> list[Path]:
    """List what lies under temporary names."""
    return list((plant.world.folder / site).glob("store/temp/dynamo/.copies/*"))


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
