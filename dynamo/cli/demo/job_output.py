"""Output of simulated jobs: real files of mixed size, the same for the same seed."""

import random
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

SITES = ("T1_CH_CERN", "T2_US_MIT", "T2_DE_DESY")
USER = "alice"
DATASET = "/Higgs/alice-demo/USER"
PREFIX = "/store/user/dynamo/alice/Higgs/demo"

_SIZES = (
    # number per twenty files, from, to: mostly small, some large enough to be interrupted
    (14, 10**3, 10**5),
    (5, 10**5, 2 * 10**6),
    (1, 2 * 10**6, 6 * 10**6),
)
LARGE = 6
_LARGE_SIZES = (20 * 10**6, 50 * 10**6)


@dataclass(frozen=True, slots=True)
class Made:
    """A file as the job knows it, without data from Dynamo."""

    path: Path
    lfn: str
    size: int
    adler32: int


@dataclass(frozen=True, slots=True)
class Job:
    """A job: its site, way of injection and files."""

    number: int
    site: str
    push: bool
    files: tuple[Made, ...]


def jobs(scratch: Path, n_jobs: int, n_files: int, made: Callable[[int], None]) -> list[Job]:
    """Create the output of all jobs, each in its own folder of its site's scratch area."""
    draw = random.Random(20261122)
    sizes = list(_sizes(draw, n_jobs * n_files))
    created = []
    for number in range(n_jobs):
        site = SITES[number % len(SITES)]
        folder = scratch / site / f"job{number}"
        folder.mkdir(parents=True)
        files = []
        for n in range(n_files):
            files.append(
                _make(draw, folder / f"out_{number}_{n}.root", sizes[number * n_files + n])
            )
            made(1)
        # pull and push at each site
        created.append(Job(number, site, number // len(SITES) % 2 == 1, tuple(files)))
    return created


def _sizes(draw: random.Random, count: int) -> Iterator[int]:
    large = set(draw.sample(range(count), min(LARGE, count)))
    for n in range(count):
        if n in large:
            yield draw.randint(*_LARGE_SIZES)
        else:
            _, low, high = draw.choices(_SIZES, weights=[weight for weight, _, _ in _SIZES])[0]
            yield draw.randint(low, high)


def _make(draw: random.Random, path: Path, size: int) -> Made:
    content = draw.randbytes(size)
    path.write_bytes(content)
    return Made(path, f"{PREFIX}/{path.name}", size, zlib.adler32(content))
