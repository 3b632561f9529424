"""Cycles of the Dealer, run and looked at."""

from typing import Any

from dynamo.inventory import schemas
from dynamo.services.cycles import submission as cycles_submission
from dynamo.services.cycles import views as cycles_views
from dynamo.services.pagination import PageRequest
from dynamo.services.popularity import demands
from tests.services.world import DATASET, OPERATOR, World

SITES = ("T2_A", "T2_B", "T2_C")


def run(world: World, partition: str = "User", *, dry: bool = False) -> dict[str, Any]:
    """Run a cycle as an operator asks for it, without the copies that come of it; return it."""
    body = schemas.CycleBody(kind="dealer", partition=partition, dry_run=dry)
    cycle_id = cycles_submission.file(world.ctx, body, OPERATOR)
    world.step("cycle")
    return cycles_views.get(world.ctx, cycle_id)


def decided(world: World, cycle: dict[str, Any]) -> list[dict[str, Any]]:
    return list(
        cycles_views.decided(world.ctx, cycle["id"], None, None, PageRequest(None, 1000)).items
    )


def waiting(world: World, jobs: int) -> None:
    """Let jobs of the batch system wait for the dataset."""
    with world.ctx.begin.reading() as work:
        now = work.now
    said = schemas.DemandReport(dataset=DATASET, jobs=jobs, since=now)
    demands.report(world.ctx, (said,), OPERATOR)


def at(world: World) -> list[int]:
    """Count the files at each site."""
    return [len(world.on_disk(site)) for site in SITES]
