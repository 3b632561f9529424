"""Hands that meddle with storages, and what is seen of it."""

import os
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select

from dynamo.db.tables import Sighting
from dynamo.inventory import schemas
from dynamo.inventory.globs import Glob
from dynamo.services.catalogue import files
from dynamo.services.catalogue.files import FileFilter
from dynamo.services.consistency import scans
from dynamo.services.pagination import PageRequest
from tests.conftest import Clock
from tests.services.world import OPERATOR, World, lfn

DARK = "/store/user/dynamo/bob/dark.root"
ALL = PageRequest(None, 1000)


def by_hand(path: Path, now: datetime, content: bytes | None = None, days: float = 4) -> Path:
    """Let a file look as if it had lain there for days; with content, put it there."""
    if content is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    stamp = (now - timedelta(days=days)).timestamp()
    os.utime(path, (stamp, stamp))
    return path


def at_two_sites(world: World, n: int = 4) -> list[str]:
    """Bring files to A, and copy them to B; return their names."""
    world.many("T2_A", n)
    world.work()
    world.close()
    world.work()
    world.copy("T2_B", consolidate=False)
    world.work()
    return [lfn(f"T2_A_{i}.root") for i in range(n)]


def content(name: str) -> bytes:
    """Return what `World.many` has written into a file."""
    return name.rpartition("/")[2].encode() * 10


def scan(world: World, site: str = "T2_A", *, dry_run: bool = False) -> dict[str, Any]:
    """Compare a site with the catalogue, and do what is due."""
    scan_id = scans.file(world.ctx, schemas.ScanBody(site=site, dry_run=dry_run), OPERATOR)
    world.work()
    return scans.get(world.ctx, scan_id)


def twice(world: World, clock: Clock, site: str = "T2_A") -> dict[str, Any]:
    """Scan twice, far enough apart."""
    scan(world, site)
    clock.forward(hours=13)
    return scan(world, site)


def long_ago(world: World) -> None:
    """Let all that was seen have been seen first half a day ago, where no clock can be moved."""
    with world.ctx.begin() as work:
        for row in work.rows(select(Sighting.id, Sighting.first)):
            earlier = row.first - timedelta(hours=13)
            one = Sighting.__table__.update().where(Sighting.id == row.id)
            work.changed(one.values(first=earlier))


def where(world: World, name: str) -> dict[str, str]:
    """Return how a file is at each site."""
    found = files.list_page(world.ctx, FileFilter(lfn=Glob.parse(name)), ALL).items[0]
    return {replica["site"]: replica["state"] for replica in found["replicas"]}
