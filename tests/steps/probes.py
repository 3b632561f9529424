"""Probes of sites, and the statuses that follow."""

from sqlalchemy import select

from dynamo.db.tables import Site
from dynamo.services.sites import health as site_health
from tests.conftest import Clock
from tests.services.world import World


def statuses(world: World) -> dict[str, tuple[str, str]]:
    """Return status and who set it, by site."""
    with world.ctx.begin.reading() as work:
        rows = work.rows(select(Site.name, Site.status, Site.set_by))
        return {row.name: (row.status, row.set_by) for row in rows}


def probe(world: World, clock: Clock, times: int = 3) -> None:
    """Let beat send probes so often."""
    for _ in range(times):
        clock.forward(minutes=10)
        site_health.tend(world.ctx)
        site_health.send(world.ctx)
        world.work()
