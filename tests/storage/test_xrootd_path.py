"""The whole path of user data over two XRootD servers."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from dynamo.db.engine.unit_of_work import UnitOfWork
from dynamo.db.tables import File
from dynamo.inventory import schemas
from dynamo.operations.hints import Hint
from tests.conftest import Clock
from tests.servers import program
from tests.servers_xrootd import PACKAGE, XRootD, xrootd_servers
from tests.services.world import adler32, lfn
from tests.steps.spoiling import DARK, at_two_sites, by_hand, content, twice
from tests.storage.grid import Grid, consolidated, grid_of, reason
from tests.storage.suite import some_bytes


@pytest.fixture(scope="module")
def servers() -> Iterator[list[XRootD]]:
    with xrootd_servers(2) as running:
        yield running


@pytest.fixture
def grid(
    begin: UnitOfWork, tmp_path: Path, published: list[Hint], servers: list[XRootD]
) -> Iterator[Grid]:
    with grid_of(begin, tmp_path, published, servers) as world:
        yield world


def user_files(grid: Grid) -> list[schemas.InjectedFile]:
    """Write small files and large ones into the scratch folder of site A."""
    sizes = {f"out_{number}.root": 1000 + number for number in range(9)}
    sizes |= {"large_1.root": 5 * 2**20, "large_2.root": 3 * 2**20 + 1}
    return [
        grid.pulled("T2_A", name, some_bytes(size, seed))
        for seed, (name, size) in enumerate(sizes.items())
    ]


def test_pulled_files_are_gathered_at_another_server_and_leave_the_first(grid: Grid):
    injection = grid.inject("T2_A", user_files(grid))
    grid.work()
    assert grid.request("injection", injection)["state"] == "done"
    before = grid.on_disk("T2_A")
    assert len(before) == 11
    grid.close()
    grid.work()
    copy = grid.copy("T2_B", consolidate=True)

    grid.work()

    assert grid.request("copy", copy)["state"] == "done"
    assert grid.on_disk("T2_B") == before
    assert grid.on_disk("T2_A") == {}


def test_what_hands_did_at_a_server_is_repaired(grid: Grid, clock: Clock):
    names = at_two_sites(grid)
    root = grid.servers["T2_A"].root
    by_hand(grid.servers["T2_A"].plant(DARK, b"dark"), clock.now)
    by_hand(grid.servers["T2_A"].plant(names[1], b"short"), clock.now)
    (root / names[0].lstrip("/")).unlink()

    found = twice(grid, clock)

    assert found["summary"]["found"] == {"dark": 1, "missing": 1, "wrong": 1, "corrupt": 0}
    assert found["summary"]["acted"] == 3, found
    kept = {data for name, data in grid.on_disk("T2_A").items() if "quarantine" in name}
    assert kept == {b"dark", b"short"}
    lie = {name: data for name, data in grid.on_disk("T2_A").items() if "quarantine" not in name}
    assert lie == grid.on_disk("T2_B") == {name: content(name) for name in names}


def test_a_job_uploads_with_xrdcp_to_the_address_that_it_was_told(grid: Grid, tmp_path: Path):
    data = some_bytes(200_000)
    (tmp_path / "out.root").write_bytes(data)
    request = grid.book("T2_A", "out.root", data)
    booked = grid.request("injection", request)["files"]
    assert isinstance(booked, list)
    copied = [program(("xrdcp",), PACKAGE), "--silent", tmp_path / "out.root"]
    subprocess.run([*copied, booked[0]["upload_url"]], check=True)

    grid.confirm(request)
    grid.work()

    assert grid.request("injection", request)["state"] == "done"
    assert grid.on_disk("T2_A") == {lfn("out.root"): data}


def test_a_file_on_another_server_is_pulled_without_knowing_its_checksum(grid: Grid):
    data = some_bytes(3 * 2**20)
    grid.servers["T2_B"].plant("/data/out.root", data)
    source = f"{grid.servers['T2_B'].url}/data/out.root"
    request = grid.inject("T2_A", [schemas.InjectedFile(lfn=lfn("out.root"), source=source)])

    grid.work()

    assert grid.request("injection", request)["state"] == "done"
    with grid.ctx.begin.reading() as work:
        [known] = work.rows(select(File.size, File.adler32))
    assert (known.size, known.adler32) == (len(data), adler32(data))
    assert grid.on_disk("T2_A") == {lfn("out.root"): data}


def test_a_site_that_may_not_be_written_is_told_with_its_reason(grid: Grid):
    consolidated(grid, b"events")
    grid.servers["T2_B"].plant("/store/user/x", b"").unlink()
    grid.servers["T2_B"].seal("/store")

    grid.work()

    assert reason(grid) == "permission-denied"
    assert grid.on_disk("T2_B") == {}
