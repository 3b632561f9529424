"""One story with every kind of work in it, and a picture of how it ends."""

from collections import Counter
from collections.abc import Callable
from typing import Any

from sqlalchemy import func, select

from dynamo.db.engine.unit_of_work import UnitOfWork
from dynamo.db.tables import (
    Block,
    BlockReplica,
    Dataset,
    Deletion,
    File,
    History,
    Quota,
    Request,
    Transfer,
    User,
)
from dynamo.inventory import schemas
from dynamo.operations.hints import Hint
from tests.faults.endings import Seen, described, seen
from tests.services.world import World, build, lfn

Step = Callable[[Callable[[], object]], Any]
"""Runs one step of the story, let the pools come to rest, and returns what the step gave."""

SITES = ("T2_A", "T2_B", "T2_C")


def stage(begin: UnitOfWork, folder: Any, published: list[Hint]) -> World:
    """Build the world of the story: small blocks, no grace, three sites."""
    world = build(begin, folder, published, block={"max_files": 5}, deletion={"grace_hours": 0})
    for site in SITES:
        world.site(site)
    return world


def tell(world: World, step: Step) -> None:
    """Inject, upload, close, copy, gather, delete."""
    pulled = [world.pulled("T2_A", f"a{n}.root", b"a%d" % n * 9) for n in range(7)]
    step(lambda: world.inject("T2_A", pulled))
    unknown = schemas.InjectedFile(lfn=lfn("late"), source=world.output("T2_B", "late", b"late"))
    step(lambda: world.inject("T2_B", [unknown]))
    booking = step(lambda: world.book("T2_B", "up.root", b"uploaded"))
    world.upload(booking, b"uploaded")
    step(lambda: world.confirm(booking))
    step(world.close)
    step(lambda: world.copy("T2_C"))
    step(lambda: world.copy("T2_A", consolidate=False))
    step(lambda: world.delete(site="T2_A"))
    step(lambda: world.delete(lfns=(lfn("a0.root"), lfn("up.root"))))


def expected() -> Seen:
    """Return what lies at T2_C in the end, and nothing anywhere else."""
    files = {lfn(f"a{n}.root"): b"a%d" % n * 9 for n in range(1, 7)}
    return described(files | {lfn("late"): b"late"})


def disks(world: World) -> dict[str, Seen]:
    """Look at all sites."""
    return {site: seen(world.folder / site) for site in SITES}


def inventory(world: World) -> dict[str, Any]:
    """Return what the rows say of the data, without keys."""
    with world.ctx.begin.snapshot() as work:
        return {
            "users": work.rows(select(User.name, User.used, User.n_files)),
            "quotas": work.rows(select(Quota.projected, Quota.used).order_by(Quota.site_id)),
            "datasets": work.rows(
                select(
                    Dataset.name, Dataset.status, Dataset.is_open, Dataset.n_files, Dataset.bytes
                )
            ),
            "blocks": sorted(work.rows(select(Block.n_files, Block.bytes, Block.closed))),
            "replicas": sorted(
                work.rows(
                    select(
                        BlockReplica.site_id,
                        BlockReplica.n_files,
                        BlockReplica.bytes,
                        BlockReplica.complete,
                        BlockReplica.state,
                        BlockReplica.in_use,
                    )
                )
            ),
            "files": sorted(work.rows(select(File.lfn, File.size, File.adler32))),
            "transfers": Counter(work.rows(select(Transfer.kind, Transfer.state))),
            "deletions": work.scalar(select(func.count()).select_from(Deletion)),
        }


def memory(world: World) -> dict[str, Any]:
    """Return what the rows say of the requests and of what happened."""
    with world.ctx.begin.snapshot() as work:
        counts = (Request.kind, Request.state, Request.n_files, Request.n_done, Request.n_failed)
        return {
            "requests": work.rows(
                select(*counts, Request.bytes, Request.bytes_done).order_by(Request.id)
            ),
            "history": Counter(work.rows(select(History.what, History.who, History.n_files))),
        }
