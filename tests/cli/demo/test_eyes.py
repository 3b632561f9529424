"""The demonstration sees for itself what is wrong on a disk."""

import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from dynamo.cli.demo import disk_check
from dynamo.cli.demo.job_output import SITES, Made, jobs

CONTENT = b"events"


@pytest.fixture
def world(tmp_path: Path) -> tuple[list[Path], list[Made]]:
    """Two sites; the first holds the one file that should be."""
    sites = [tmp_path / name for name in SITES[:2]]
    made = Made(
        tmp_path / "out", "/store/user/dynamo/alice/out", len(CONTENT), zlib.adler32(CONTENT)
    )
    for path in (made.path, Path(str(sites[0]) + made.lfn)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(CONTENT)
    (sites[1] / "store/empty").mkdir(parents=True)
    return sites, [made]


def test_all_is_well(world: tuple[list[Path], list[Made]]) -> None:
    sites, made = world

    assert disk_check.faults(sites, sites[0], made) == []
    assert disk_check.untouched(made) == []


def twice(sites: list[Path], lfn: str) -> None:
    (sites[1] / "store/again").write_bytes(CONTENT)


def gone(sites: list[Path], lfn: str) -> None:
    Path(str(sites[0]) + lfn).unlink()


def cut(sites: list[Path], lfn: str) -> None:
    Path(str(sites[0]) + lfn).write_bytes(CONTENT[:-1])


def altered(sites: list[Path], lfn: str) -> None:
    Path(str(sites[0]) + lfn).write_bytes(CONTENT[::-1])


def linked(sites: list[Path], lfn: str) -> None:
    path = Path(str(sites[0]) + lfn)
    path.rename(sites[0].parent / "elsewhere")
    path.symlink_to(sites[0].parent / "elsewhere")


def left(sites: list[Path], lfn: str) -> None:
    (sites[0] / "store/temp/.copies").mkdir(parents=True)
    (sites[0] / "store/temp/.copies/7.1.aa").write_bytes(CONTENT)


def folder_linked(sites: list[Path], lfn: str) -> None:
    (sites[1] / "root").symlink_to("/")


@pytest.mark.parametrize(
    ("happened", "said"),
    [
        (twice, "unexpected"),
        (gone, "missing"),
        (cut, "5 bytes in place of 6"),
        (altered, "other content"),
        (linked, "not a plain file"),
        (left, "unexpected"),
        (folder_linked, "unexpected"),
    ],
)
def test_whatever_differs_is_named(
    world: tuple[list[Path], list[Made]], happened: Callable[[list[Path], str], None], said: str
) -> None:
    sites, made = world
    happened(sites, made[0].lfn)

    [fault] = disk_check.faults(sites, sites[0], made)
    assert fault.startswith(said)


def test_the_same_files_are_made_each_time(tmp_path: Path) -> None:
    first = jobs(tmp_path / "a", 6, 3, lambda _n: None)
    second = jobs(tmp_path / "b", 6, 3, lambda _n: None)

    assert [f.adler32 for job in first for f in job.files] == [
        f.adler32 for job in second for f in job.files
    ]
    assert {(job.site, job.push) for job in first} == {
        (site, push) for site in SITES for push in (True, False)
    }
    assert len({f.lfn for job in first for f in job.files}) == 18
    assert all(f.path.stat().st_size == f.size for job in first for f in job.files)
