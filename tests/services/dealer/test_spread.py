"""Production input is shared out over many sites, by weight, also while one of them dies."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, insert, select

from dynamo.db.engine.unit_of_work import UnitOfWork
from dynamo.db.tables import Block, BlockReplica, Partition, Quota, Site
from dynamo.inventory import schemas
from dynamo.operations.hints import Hint
from dynamo.services.copies import submission as copies_submission
from dynamo.services.maintenance import invariants
from tests.conftest import Clock
from tests.services.world import World, adler32, build
from tests.steps.official import PROD, RAW, register

SOURCE = "T1_TAPE_BUFFER"
SITES = [f"T2_{n:02}" for n in range(31)]
DEAD = SITES[30]
HEAVY = "T2_0*"
"""Those that shall get half as much again as their space says."""
N_BLOCKS = 300


def quota(n: int) -> int:
    return 10**6 + 15_000 * n


def content(n: int) -> bytes:
    return bytes([n % 251]) * (30 + n % 7 * 5)


@pytest.fixture
def world(begin: UnitOfWork, tmp_path: Path, published: list[Hint]) -> Iterator[World]:
    """A dataset of 300 blocks at one site, and 31 sites that production may use."""
    small = build(begin, tmp_path, published, dealer={"weights": {HEAVY: 1.5}})
    for site in (SOURCE, *SITES):
        small.site(site)
    with small.ctx.begin() as work:
        key = work.scalar(select(Partition.id).where(Partition.name == "Production"))
        ids = dict(work.rows(select(Site.name, Site.id)))
        work.execute(
            insert(Quota),
            [
                {
                    "site_id": ids[site],
                    "partition_id": key,
                    "max_bytes": quota(n),
                    "projected": 0,
                    "used": 0,
                }
                for n, site in enumerate([*SITES, SOURCE])
            ],
        )
    blocks = []
    for n in range(N_BLOCKS):
        name = f"/store{RAW}/{n}.root"
        path = small.path(SOURCE, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content(n))
        file = {"lfn": name, "size": len(content(n)), "adler32": adler32(content(n))}
        blocks.append(
            {"name": f"b{n}", "files": [file], "replicas": [{"site": SOURCE}], "open": False}
        )
    register(small, {"name": RAW, "blocks": blocks, "open": False})
    yield small
    assert [str(found) for found in invariants.check(small.ctx) if not found.is_warning] == []


def shares(world: World) -> dict[str, int]:
    """Return the bytes that are complete at each site."""
    with world.ctx.begin.reading() as work:
        rows = work.rows(
            select(Site.name, func.sum(Block.bytes))
            .join(BlockReplica, BlockReplica.site_id == Site.id)
            .join(Block, Block.id == BlockReplica.block_id)
            .where(BlockReplica.complete.is_(True), Site.name != SOURCE)
            .group_by(Site.name)
        )
    return {name: int(size) for name, size in rows}


def test_300_blocks_come_to_lie_on_30_sites_by_their_weights_while_one_dies(
    world: World, clock: Clock
):
    wish = schemas.Copy(dataset=RAW, site=("T2_*",), spread=True)
    request = copies_submission.file(world.ctx, wish, PROD)
    world.step("plan")
    assert any(hint.text.endswith(f"request {request}") for hint in world.published)
    world.status(DEAD, "waitroom")
    world.work(2000)
    for _ in range(3):
        clock.forward(minutes=2)
        world.sweep()

    assert world.request("copy", request)["state"] == "done"
    found = shares(world)
    alive = SITES[:30]
    assert sorted(found) == alive
    whole = sum(len(content(n)) for n in range(N_BLOCKS))
    assert sum(found.values()) == whole
    weight = {site: quota(n) * (1.5 if n < 10 else 1.0) for n, site in enumerate(alive)}
    for site in alive:
        wanted = whole * weight[site] / sum(weight.values())
        assert abs(found[site] - wanted) <= 0.1 * wanted, site
    on_disk = [world.on_disk(site) for site in alive]
    assert sum(map(len, on_disk)) == N_BLOCKS == len({name for one in on_disk for name in one})
