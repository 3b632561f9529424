"""Cycles of Detox, run and looked at."""

from typing import Any

from dynamo.inventory import schemas
from dynamo.services.cycles import submission as cycles_submission
from dynamo.services.cycles import views as cycles_views
from dynamo.services.pagination import PageRequest
from tests.services.world import OPERATOR, World

ONE, TWO, THREE = (f"/Higgs/alice-v{number}/USER" for number in (1, 2, 3))
SITES = ("T2_A", "T2_B", "T2_C")


def run(world: World, **more: Any) -> dict[str, Any]:
    """Run a cycle of the partition User as an operator asks for it; return it."""
    body = schemas.CycleBody(kind="detox", partition="User", **more)
    cycle_id = cycles_submission.file(world.ctx, body, OPERATOR)
    world.work()
    return cycles_views.get(world.ctx, cycle_id)


def decided(world: World, cycle: dict[str, Any], **about: str) -> list[dict[str, Any]]:
    place = PageRequest(None, 1000)
    page = cycles_views.decided(
        world.ctx, cycle["id"], about.get("site"), about.get("dataset"), place
    )
    return list(page.items)


def gone(world: World, cycle: dict[str, Any]) -> set[tuple[str, str]]:
    """Return the datasets and sites that a cycle deleted, as it says itself."""
    return {
        (one["dataset"], one["site"])
        for one in decided(world, cycle)
        if one["action"] == "delete" and one["refused"] is None
    }
