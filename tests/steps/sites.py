"""Sites that break, are mended, and are read from."""

from collections import Counter
from pathlib import Path

from sqlalchemy import select

from dynamo.db.tables import (
    BlockReplica,
    Site,
    Transfer,
)
from tests.services.world import World


def break_site(world: World, name: str) -> Path:
    """Let nothing be written at a site any more."""
    root = world.folder / name
    moved = root.rename(root.with_name(f"{name}-away"))
    root.write_text("this is no folder")
    return moved


def mend_site(world: World, name: str) -> None:
    """Undo that."""
    root = world.folder / name
    root.unlink()
    root.with_name(f"{name}-away").rename(root)


def read_from(world: World, request: int) -> Counter[str]:
    """Count the transfers of a request by the sites that they read."""
    with world.ctx.begin.reading() as work:
        wanted = (
            select(Site.name)
            .join(BlockReplica, BlockReplica.site_id == Site.id)
            .join(Transfer, Transfer.source_id == BlockReplica.id)
            .where(Transfer.request_id == request)
        )
        return Counter(work.scalars(wanted))
