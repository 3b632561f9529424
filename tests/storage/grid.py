"""A world whose sites are XRootD servers."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import select

from dynamo.db.engine.unit_of_work import UnitOfWork
from dynamo.db.tables import Partition, Quota, Site, Transfer
from dynamo.operations.hints import Hint
from dynamo.services.context import Context, storages
from dynamo.services.maintenance import invariants
from tests.conftest import Clock
from tests.servers_xrootd import Wire, XRootD
from tests.services.world import World, build

LIMITS = {"answer_seconds": 4, "call_seconds": 4, "third_party_bytes": 2 * 2**20}

AWAY = 2.0
"""For so many seconds, with these limits, a server that was away is not asked again."""


class Grid(World):
    """A world whose sites are XRootD servers."""

    servers: dict[str, XRootD]
    wires: dict[str, Wire]

    def site(self, name: str, *, quota: int | None = 10**13, kind: str = "disk") -> str:
        """Add a site that is served by the server of its name."""
        (self.folder / f"{name}-scratch").mkdir()
        with self.ctx.begin() as work:
            key = work.add(
                Site,
                name=name,
                kind=kind,
                status="ready",
                url=self.wires[name].url,
                rules={},
                scratch=[str(self.folder / f"{name}-scratch")],
                sources=[server.url.rstrip("/") for server in self.servers.values()],
                created=work.now,
            )
            partition = work.scalar(select(Partition.id).where(Partition.name == "User"))
            used = {"max_bytes": quota, "projected": 0, "used": 0}
            work.add(Quota, site_id=key, partition_id=partition, **used)
        return name

    def on_disk(self, site: str) -> dict[str, bytes]:
        """Look at what really lies at a site."""
        return self.servers[site].files()

    def later(self, clock: Clock) -> None:
        """Let time pass, and work on what is due by then, until nothing fails."""
        for _ in range(4):
            clock.forward(minutes=5)
            self.sweep()
            if reason(self) is None:
                return
            time.sleep(AWAY)


def reason(grid: Grid) -> str | None:
    """Return why the transfer that has not ended failed last."""
    with grid.ctx.begin.reading() as work:
        found = work.scalar(select(Transfer.reason).where(Transfer.reason.is_not(None)))
        return found and str(found)


def consolidated(grid: Grid, data: bytes) -> int:
    """Bring one file to A, close its dataset and ask for it at B; nothing has been copied yet."""
    grid.inject("T2_A", [grid.pulled("T2_A", "out.root", data)])
    grid.work()
    grid.close()
    grid.work()
    copy = grid.copy("T2_B")
    grid.step("plan")
    return copy


@contextmanager
def grid_of(
    begin: UnitOfWork, folder: Path, published: list[Hint], servers: Sequence[XRootD]
) -> Iterator[Grid]:
    """Make sites A and B; at the end all invariants hold."""
    ctx = build(begin, folder, published, block={"max_files": 5}, work=LIMITS).ctx
    world = Grid(Context(begin, ctx.settings, storages(ctx.settings)), folder, published)
    world.servers = dict(zip(("T2_A", "T2_B"), servers, strict=True))
    world.wires = {name: Wire(server) for name, server in world.servers.items()}
    for name, server in world.servers.items():
        server.clear()
        world.site(name)
    try:
        yield world
    finally:
        for name in world.servers:
            world.servers[name].thaw()
            world.wires[name].close()
    assert [str(found) for found in invariants.check(world.ctx) if not found.is_warning] == []
