"""Injectors that fill the same blocks while others close them, and bookings at a quota's edge."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import func, select

from dynamo.db.engine.unit_of_work import UnitOfWork
from dynamo.db.tables import Block, File
from dynamo.inventory import schemas
from dynamo.operations.hints import Hint
from dynamo.services.injection import closure as closures
from tests.faults.endings import assert_all_ended, described, seen
from tests.faults.racing import race, refusals
from tests.services.world import World, adler32, build, lfn

MOST = 40
INJECTORS = 50
EACH = 40
CLOSINGS = 6
ENOUGH = 150
"""Files that each of six injectors hands over, should nobody ever close."""


@pytest.fixture
def world(begin: UnitOfWork, tmp_path: Path, published: list[Hint]) -> World:
    """One site, blocks of forty files, no grace for what is deleted."""
    small = build(
        begin, tmp_path, published, block={"max_files": MOST}, deletion={"grace_hours": 0}
    )
    small.site("T2_A")
    return small


def described_files(world: World, names: list[str]) -> list[schemas.InjectedFile]:
    """Write outputs and describe them."""
    return [world.pulled("T2_A", name, name.encode()) for name in names]


def injector(world: World, calls: list[list[schemas.InjectedFile]]) -> Callable[[], int]:
    """Return a caller that hands over some files in each of several calls."""

    def run() -> int:
        for files in calls:
            world.inject("T2_A", files)
        return sum(len(files) for files in calls)

    return run


def closer(world: World) -> Callable[[], int]:
    """Return somebody who closes what is open, as the idle closing does, a few times at most."""

    def run() -> int:
        closed = 0
        while closed < CLOSINGS and world.count(File) < INJECTORS * EACH:
            for still in open_blocks(world)[:1]:
                closures.close_block(world.ctx, still)
                closed += 1
        return closed

    return run


def open_blocks(world: World) -> list[int]:
    """Return the open blocks that hold files."""
    with world.ctx.begin.reading() as work:
        return work.scalars(select(Block.id).where(Block.closed.is_(False), Block.n_files > 0))


def chunks(
    files: list[schemas.InjectedFile], draw: random.Random
) -> list[list[schemas.InjectedFile]]:
    """Cut a job's files into calls of one to all."""
    cut: list[list[schemas.InjectedFile]] = []
    while files:
        size = draw.randint(1, EACH)
        cut.append(files[:size])
        files = files[size:]
    return cut


def test_fifty_injectors_and_a_closer_fill_blocks_exactly(world: World):
    draw = random.Random(8)
    jobs = [[f"{job}_{n}.root" for n in range(EACH)] for job in range(INJECTORS)]
    files = INJECTORS * EACH
    runners = [injector(world, chunks(described_files(world, names), draw)) for names in jobs]

    results = race([*runners, closer(world)])

    assert refusals(results) == []
    sizes = [n for n, _ in world.blocks()]
    assert sum(sizes) == files
    assert max(sizes) <= MOST
    assert sum(not closed for _, closed in world.blocks()) <= 1
    assert files // MOST <= len(sizes) <= files // MOST + CLOSINGS + 1
    with world.ctx.begin.reading() as work:
        counted = work.rows(
            select(Block.n_files, func.count(File.id))
            .join(File, File.block_id == Block.id)
            .group_by(Block.id, Block.n_files)
        )
    assert all(kept == real for kept, real in counted)
    world.work(1000)
    closure = world.close()
    world.work(1000)
    assert world.request("closure", closure)["state"] == "done"
    everything = {lfn(name): name.encode() for names in jobs for name in names}
    assert seen(world.folder / "T2_A") == described(everything)
    assert_all_ended(world)


def test_no_file_comes_after_the_closure_of_its_dataset(world: World):
    """A closure gets its turn in an endless stream of injections, and ends it."""
    world.inject("T2_A", described_files(world, ["first.root"]))

    def stream(job: int) -> Callable[[], None]:
        def run() -> None:
            for n in range(ENOUGH):
                world.inject("T2_A", described_files(world, [f"{job}_{n}.root"]))

        return run

    def close() -> int:
        while sum(n for n, _ in world.blocks()) < 30:
            pass
        return world.close()

    results = race([*(stream(job) for job in range(6)), close])

    assert refusals(results) == ["dataset-closed"] * 6
    registered = world.count(File)
    assert 30 <= registered < 6 * ENOUGH
    assert sum(n for n, _ in world.blocks()) == registered
    world.work(1000)
    assert all(closed for _, closed in world.blocks())
    assert len(seen(world.folder / "T2_A")) == registered
    assert_all_ended(world)


@pytest.mark.parametrize("whose", ["user", "site"])
def test_of_fifty_bookings_at_the_edge_of_a_quota_exactly_as_many_win_as_fit(
    world: World, whose: str
):
    limit = 205  # twenty files of ten bytes, and five bytes that nobody gets
    if whose == "user":
        world.quota("alice", limit)
    else:
        world.site_quota("T2_A", limit)
    content = b"0123456789"

    def booking(n: int) -> Callable[[], int]:
        file = schemas.InjectedFile(lfn=lfn(f"{n}.root"), size=10, adler32=adler32(content))
        return lambda: world.inject("T2_A", [file])

    results = race([booking(n) for n in range(50)])

    reason = "quota-exceeded" if whose == "user" else "storage-full"
    assert refusals(results) == [reason] * 30
    assert world.used("alice") == 200
    assert world.projected("T2_A") == 200
    assert world.count(File) == 20
    for request in [result for result in results if isinstance(result, int)]:
        world.upload(request, content)
        world.confirm(request)
    world.work(1000)
    assert len(seen(world.folder / "T2_A")) == 20
    assert_all_ended(world)
