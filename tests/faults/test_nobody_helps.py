"""Nobody helps: data spread, follow and stop, sites die; real pools and beat see to it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, func, select

from dynamo.db.tables import Deletion, Site, Stream, Transfer
from dynamo.inventory import schemas
from dynamo.inventory.states import RequestKind
from dynamo.services import cancellation
from dynamo.services.copies import submission as copies_submission
from dynamo.services.evacuation import status as evacuation_status
from dynamo.services.maintenance import invariants
from dynamo.services.popularity import demands
from dynamo.services.sites import sites
from tests.faults.plant import Plant, plant
from tests.servers import Broker
from tests.services.world import ALICE, OPERATOR, lfn
from tests.steps.sites import break_site, mend_site

QUICK: dict[str, dict[str, Any]] = {
    "block": {"max_files": 5},
    "dealer": {"every_minutes": 0.02},
    "site": {"evacuate_minutes": 0.02, "probe_minutes": 0.02, "probes": 2},
    "work": {"sweep_seconds": 0.4, "hint_seconds": 0.8, "batch": 5},
    "breaker": {"first_seconds": 1, "longest_seconds": 2},
}


@pytest.fixture
def quick(_mariadb: Engine, broker: Broker, tmp_path: Path) -> Iterator[Plant]:
    """Three sites whose beat is fast."""
    made = plant(_mariadb, broker, tmp_path, **QUICK)
    yield made
    made.stop()


def status(plant_: Plant, site: str) -> str:
    with plant_.world.ctx.begin.reading() as work:
        return str(work.scalar(select(Site.status).where(Site.name == site)))


def put(plant_: Plant, site: str, **values: Any) -> None:
    sites.update(plant_.world.ctx, site, schemas.SiteBody(**values), OPERATOR)


def named(plant_: Plant, site: str, first: int, last: int) -> int:
    """Count the files at a site that were handed over at A under some numbers."""
    wanted = {lfn(f"T2_A_{n}.root") for n in range(first, last)}
    return len(wanted & plant_.world.on_disk(site).keys())


def copied(plant_: Plant, dataset: str, site: str) -> int:
    return copies_submission.file(plant_.world.ctx, schemas.Copy(dataset=dataset, site=site), ALICE)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_popular_dataset_spreads_one_that_grows_is_followed_and_a_copy_stops(
    quick: Plant,
) -> None:
    world = quick.world
    popular, growing, unwanted = (f"/Higgs/alice-{name}/USER" for name in ("hot", "new", "old"))
    for _ in range(2):
        quick.start()
    quick.beat()
    many = [world.many("T2_A", 10, dataset=popular)]
    many += [world.many("T2_A", 7, start=10, dataset=growing)]
    many += [world.many("T2_A", 600, start=100, dataset=unwanted)]
    quick.until_done(*(("injection", one) for one in many), seconds=150)
    quick.until_done(*(("closure", world.close(name)) for name in (popular, unwanted)))

    with world.ctx.begin.reading() as work:
        waits = schemas.DemandReport(dataset=popular, jobs=9, since=work.now)
    demands.report(world.ctx, (waits,), OPERATOR)
    quick.until(lambda: {named(quick, site, 0, 10) for site in ("T2_B", "T2_C")} == {10})

    follows = copied(quick, growing, "T2_B")
    quick.until(lambda: named(quick, "T2_B", 10, 17) == 5)
    assert quick.state("copy", follows) in ("queued", "running"), "more may come"
    quick.until_done(("injection", world.many("T2_A", 7, start=17, dataset=growing)))
    quick.until_done(("closure", world.close(growing)), ("copy", follows))
    assert named(quick, "T2_B", 10, 24) == 14

    put(quick, "T2_C", max_streams=1)
    stops = copied(quick, unwanted, "T2_C")
    quick.until(lambda: named(quick, "T2_C", 100, 700))
    cancellation.cancel(world.ctx, RequestKind.COPY, stops, ALICE)
    quick.until(lambda: not world.count(Transfer, Transfer.request_id == stops))
    quick.until(lambda: not world.count(Deletion))
    assert quick.state("copy", stops) == "cancelled"
    assert 0 < named(quick, "T2_C", 100, 700) < 600
    quick.until(lambda: named(quick, "T2_C", 100, 700) % 5 == 0)  # whole blocks stay, parts leave
    assert [str(found) for found in invariants.check(world.ctx) if not found.is_warning] == []


@pytest.mark.slow
def test_a_site_dies_while_another_is_ill_and_nobody_has_to_help(quick: Plant) -> None:
    world = quick.world
    quick.start()
    quick.start()
    quick.until_done(("injection", world.many("T2_A", 60)), ("closure", world.close()))
    bad = [lfn(f"T2_A_{n}.root") for n in (0, 1)]
    for name in bad:
        world.path("T2_A", name).write_bytes(b"rotten")
    put(quick, "T2_B", max_streams=1)
    break_site(world, "T2_C")
    quick.beat()
    quick.until(lambda: status(quick, "T2_C") == "waitroom")

    put(quick, "T2_A", status="morgue")
    most = 0

    def gone() -> bool:
        nonlocal most
        with world.ctx.begin.reading() as work:
            into_b = (Site.name == "T2_B", Stream.until > work.now)
            counted = select(func.count()).select_from(Stream).join(Site, Site.id == Stream.site_id)
            most = max(most, work.scalar(counted.where(*into_b)) or 0)
        told = evacuation_status.get(world.ctx, "T2_A")
        return told["left"]["files"] == 5 and told["stuck"]["files"] == 2

    quick.until(gone, seconds=90)
    told = evacuation_status.get(world.ctx, "T2_A")
    assert sorted(one["lfn"] for one in told["problems"]) == bad
    assert all(one["reason"] == "no-source" for one in told["problems"])
    assert named(quick, "T2_B", 0, 60) == 58, "probes may lie beside them"
    assert most <= 1, "no more streams than the site takes"

    mend_site(world, "T2_C")
    quick.until(lambda: status(quick, "T2_C") == "ready")
    assert [str(found) for found in invariants.check(world.ctx) if not found.is_warning] == []
