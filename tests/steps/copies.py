"""What became of a copy request: where it is complete, what it tells, what still comes."""

from sqlalchemy import select

from dynamo.db.tables import BlockReplica, Site, Transfer
from dynamo.operations.lifecycle import OPEN
from tests.services.world import World


def complete_at(world: World, site: str) -> list[int]:
    """Return the blocks that are whole at a site."""
    here = select(BlockReplica.block_id).join(Site, Site.id == BlockReplica.site_id)
    with world.ctx.begin.reading() as work:
        return work.scalars(here.where(Site.name == site, BlockReplica.complete.is_(True)))


def told(world: World, request: int) -> tuple[object, object, object]:
    """Return how a copy is, and why."""
    shown = world.request("copy", request)
    return shown["state"], shown.get("reason"), shown.get("detail")


def chosen(world: World, request: int) -> list[str]:
    """Return the sites that were chosen for a copy."""
    found = world.request("copy", request)["chosen"]
    assert isinstance(found, list)
    return found


def open_transfers(world: World, site: str) -> int:
    """Count what is still to come to a site."""
    here = select(Transfer.id).join(Site, Site.id == Transfer.site_id)
    with world.ctx.begin.reading() as work:
        return len(work.scalars(here.where(Site.name == site, Transfer.state.in_(OPEN))))
