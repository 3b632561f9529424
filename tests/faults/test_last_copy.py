"""Deleters that race for the last copy, and sources that are read while somebody deletes."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from sqlalchemy import Engine, func, select

from dynamo.db.engine.unit_of_work import UnitOfWork
from dynamo.db.tables import Block, BlockReplica, File, Site, Transfer
from dynamo.inventory.states import ReplicaState
from dynamo.operations.hints import Hint
from dynamo.services.dealer import planner
from dynamo.services.deletions import condemnation
from dynamo.services.maintenance import sweeper
from dynamo.services.replication import scheduler
from tests.faults.endings import assert_all_ended, assert_well, described, seen
from tests.faults.racing import race, refusals
from tests.services.world import OPERATOR, World, build, lfn

BLOCKS = 60
Runners = Sequence[Callable[[], object]]
SITES = ("T2_A", "T2_B", "T2_C", "T2_D")


@pytest.fixture
def world(_mariadb: Engine, tmp_path: Path) -> World:
    """Four sites on MariaDB; each file is a block."""
    published: list[Hint] = []
    begin = UnitOfWork(_mariadb, published.extend)
    small = build(
        begin,
        tmp_path,
        published,
        block={"max_files": 1},
        deletion={"grace_hours": 0},
        retry={"first_seconds": 0.05, "longest_seconds": 0.05, "daily_seconds": 0.5},
        breaker={"first_seconds": 0.05, "longest_seconds": 0.05},
        work={"hint_seconds": 1, "sweep_seconds": 0.02},
    )
    for name in SITES:
        small.site(name)
    return small


def spread(world: World, *sites: str, blocks: int = BLOCKS) -> dict[str, bytes]:
    """Fill blocks at T2_A and copy them; return what lies at each of the sites."""
    world.many("T2_A", blocks)
    world.work()
    world.close()
    for site in sites:
        world.copy(site, consolidate=False)
    world.work(10_000)
    return {lfn(f"T2_A_{n}.root"): f"T2_A_{n}.root".encode() * 10 for n in range(blocks)}


def valid_copies(world: World) -> list[int]:
    """Count the good copies of each block."""
    with world.ctx.begin.reading() as work:
        counted = (
            select(func.count(BlockReplica.id))
            .select_from(Block)
            .outerjoin(
                BlockReplica,
                (BlockReplica.block_id == Block.id)
                & (BlockReplica.state == ReplicaState.VALID)
                & BlockReplica.complete.is_(True),
            )
            .group_by(Block.id)
        )
        return work.scalars(counted)


@pytest.fixture
def in_small_steps(monkeypatch: pytest.MonkeyPatch) -> Callable[[Runners], list[object]]:
    """Return what races deleters and planners that take block by block: so they meet more often."""

    def run(runners: Runners) -> list[object]:
        with monkeypatch.context() as patch:
            for module in (condemnation, scheduler):
                patch.setattr(module, "BLOCKS_AT_ONCE", 1)
            return race(runners)

    return run


def condemner(world: World, request: int) -> Callable[[], None]:
    """Return the deletion pool that carries out a request."""
    return lambda: condemnation.run(world.ctx, [request])


def settle(world: World, ended: Callable[[], bool], seconds: float = 60) -> None:
    """Let pools and beat work until something holds."""
    end = time.monotonic() + seconds
    while not ended():
        assert time.monotonic() < end, "it did not come true"
        world.work(10_000)
        sweeper.sweep(world.ctx)
        time.sleep(0.02)


def all_ended(world: World, kind: str, requests: Sequence[int]) -> bool:
    """Tell whether requests have ended, well or not."""
    return all(world.request(kind, key)["state"] in ("done", "failed") for key in requests)


def test_five_deleters_leave_one_copy_of_each_block(
    world: World, in_small_steps: Callable[[Runners], list[object]]
):
    files = spread(world, "T2_B", "T2_C")
    assert valid_copies(world) == [3] * BLOCKS
    half = tuple(world.block_names()[: BLOCKS // 2])
    by_site = [
        world.delete(site="T2_A"),
        world.delete(by=OPERATOR, site="T2_B"),
        world.delete(site="T2_C"),
        world.delete(by=OPERATOR, site="T2_A", blocks=half),
    ]
    gathering = world.copy("T2_B")
    world.published.clear()

    results = in_small_steps(
        [
            *(condemner(world, request) for request in by_site),
            lambda: planner.plan(world.ctx, [gathering]),
        ]
    )

    assert refusals(results) == []
    assert min(valid_copies(world)) >= 1
    settle(world, lambda: all_ended(world, "deletion", by_site))
    assert min(valid_copies(world)) >= 1
    lying = [seen(world.folder / site) for site in SITES]
    assert {lfn: value for site in lying for lfn, value in site.items()} == described(files)
    assert_well(world)


def test_what_is_read_stays_while_copies_are_planned_and_deletions_race(
    world: World, in_small_steps: Callable[[Runners], list[object]]
):
    files = spread(world, "T2_B", blocks=24)
    deletions = [world.delete(site="T2_A"), world.delete(by=OPERATOR, site="T2_B")]
    copies = [world.copy("T2_C", consolidate=False), world.copy("T2_D", consolidate=False)]
    world.published.clear()

    in_small_steps(
        [
            *(condemner(world, request) for request in deletions),
            *(lambda request=request: planner.plan(world.ctx, [request]) for request in copies),
        ]
    )

    assert unpinned(world) == []
    assert min(valid_copies(world)) >= 1
    settle(world, lambda: all_ended(world, "copy", copies))
    settle(world, lambda: all_ended(world, "deletion", deletions))
    assert seen(world.folder / "T2_C") == described(files)
    assert seen(world.folder / "T2_D") == described(files)
    assert_well(world)


def test_the_source_of_a_copy_that_fails_stays_between_its_tries(world: World):
    files = spread(world, "T2_B", blocks=6)
    obstacles = [world.path("T2_C", name) for name in files]
    for obstacle in obstacles:  # a folder lies where the file is to go
        (obstacle / "in the way").mkdir(parents=True)
    copy = world.copy("T2_C", consolidate=False)
    settle(world, lambda: tries(world) >= 1)
    read, kept = next(iter(sources(world).items()))  # of two good copies, both may be read
    deletion = world.delete(site=read)
    for n in range(2, 5):
        settle(world, lambda n=n: tries(world) >= n)
        assert unpinned(world) == []
        assert described({name: files[name] for name in kept}).items() <= (
            seen(world.folder / read).items()
        )

    for obstacle in obstacles:
        (obstacle / "in the way").rmdir()
        obstacle.rmdir()
    settle(world, lambda: all_ended(world, "copy", [copy]))
    settle(world, lambda: all_ended(world, "deletion", [deletion]))

    assert seen(world.folder / "T2_C") == described(files)
    assert seen(world.folder / read) == {}
    assert_all_ended(world)


def tries(world: World) -> int:
    """Return how often the copy that was tried least was tried."""
    with world.ctx.begin.reading() as work:
        return int(
            work.scalar(select(func.min(Transfer.attempts)).where(Transfer.kind == "copy")) or 0
        )


def sources(world: World) -> dict[str, set[str]]:
    """Return the names of the files that open copies read, by site."""
    with world.ctx.begin.reading() as work:
        found: dict[str, set[str]] = {}
        for site, name in work.rows(
            select(Site.name, File.lfn)
            .select_from(Transfer)
            .join(BlockReplica, BlockReplica.id == Transfer.source_id)
            .join(Site, Site.id == BlockReplica.site_id)
            .join(File, File.id == Transfer.file_id)
            .where(Transfer.kind == "copy", Transfer.state.in_(("queued", "active", "held")))
        ):
            found.setdefault(site, set()).add(name)
        return found


def unpinned(world: World) -> list[int]:
    """Return open copies whose source is not a pinned, valid, complete replica."""
    with world.ctx.begin.snapshot() as work:
        good = (
            BlockReplica.state == ReplicaState.VALID,
            BlockReplica.complete.is_(True),
            BlockReplica.in_use > 0,
        )
        source = select(BlockReplica.id).where(BlockReplica.id == Transfer.source_id, *good)
        return work.scalars(
            select(Transfer.id).where(
                Transfer.kind == "copy",
                Transfer.state.in_(("queued", "active", "held")),
                ~source.exists(),
            )
        )
