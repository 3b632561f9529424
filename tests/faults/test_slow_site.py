"""A site that answers nobody holds up those who wait for it, and no others."""

import socket
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, select, update

from dynamo.db.tables import Site, Transfer
from tests.faults.endings import described, seen
from tests.faults.plant import SETTINGS, Plant, plant, quickly
from tests.faults.site_api import contents
from tests.servers import Broker

GOOD = tuple(f"T2_{letter}" for letter in "ABCDEFGHI")
SILENT = "T2_SILENT"
BATCH = SETTINGS["work"]["batch"]


@pytest.fixture
def patient_plant(_mariadb: Engine, broker: Broker, tmp_path: Path) -> Iterator[Plant]:
    """Its leases outlive the test: nobody dies in it, and a busy machine must not look dead."""
    made = plant(
        _mariadb, broker, tmp_path, lease={"seconds": 60, "heartbeat": 5}, pool={"transfer": 4}
    )
    yield made
    made.stop()


@pytest.mark.slow
def test_nine_good_sites_are_served_while_the_tenth_is_still_waited_for(patient_plant: Plant):
    """The tenth takes connections and says nothing, for which it has a minute.

    There is more to bring to it than the pool has threads, and from two jobs.
    """
    world = patient_plant.world
    for name in (*GOOD[3:], SILENT):
        world.site(name)
    with socket.create_server(("127.0.0.1", 0), backlog=100) as server:
        url = f"root://127.0.0.1:{server.getsockname()[1]}//data"
        with world.ctx.begin() as work:
            work.changed(update(Site).where(Site.name == SILENT).values(url=url))
        patient_plant.start()
        waiting = [world.many(SILENT, 200, start=start) for start in (0, 200)]
        quickly(lambda: ("active", None) in transfers(patient_plant))

        injected = [world.many(site, 30) for site in GOOD]
        patient_plant.until_done(*(("injection", key) for key in injected), seconds=50)

        assert {patient_plant.state("injection", key) for key in waiting} == {"running"}
        # the first calls have not ended yet, and no more than half of the threads wait for them
        found = transfers(patient_plant)
        assert set(found) == {("active", None), ("queued", None)}
        assert found.total() == 400
        assert BATCH <= found["active", None] <= 2 * BATCH
        for site in GOOD:
            assert seen(world.folder / site) == described(contents(site, 30))


def transfers(plant: Plant) -> Counter[tuple[str, str | None]]:
    """Count how the transfers to the silent site stand."""
    with plant.world.ctx.begin.reading() as work:
        silent = select(Transfer.state, Transfer.reason).join(Site, Site.id == Transfer.site_id)
        rows = work.rows(silent.where(Site.name == SILENT))
        return Counter((row.state, row.reason) for row in rows)
