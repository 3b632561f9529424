"""Links of which a speed is known."""

from datetime import timedelta

from sqlalchemy import select

from dynamo.db.tables import Site
from dynamo.db.transfers import links
from dynamo.db.transfers.links import Moved
from tests.services.world import World


def learn(world: World, site: str, seconds: float) -> None:
    """Let one stream take so long to bring all that lies at T2_A to a site."""
    moved = Moved(world.projected("T2_A"), seconds)
    with world.ctx.begin() as work:
        ids = dict(work.rows(select(Site.name, Site.id)))
        links.learn(work, {(ids["T2_A"], ids[site]): moved}, timedelta(hours=1))
