"""XRootD: one large file beside `xrdcp`, many small ones over one connection.

Client and server run on this machine and share its processors: what is compared is the cost.
"""

import os
import subprocess
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from dynamo.storage import copier, temporary_names
from dynamo.storage.protocol import Expected, Source, Storage
from dynamo.storage.registry import Storages
from dynamo.storage.sources import SiteFile, open_source
from dynamo.storage.timeouts import Timeouts
from tests.bench.copying import _make, _sum
from tests.bench.figures import Figure
from tests.bench.scale import Scale
from tests.servers_xrootd import XRootD, xrootd_servers

AREA = "/store/temp/dynamo"
BYTES = 1000
_SMALL_FILES = 1000
_PLAIN = ("xrdcp", "--silent", "--force")
_SUMMED = (*_PLAIN, "--cksum", "adler32")
"""Asks both ends for their checksums and compares them, as we do."""


def run(folder: Path, scale: Scale) -> Iterator[Figure]:
    """Measure against a server of its own, and between two of them."""
    with xrootd_servers(2) as (near, far):
        (folder / "scratch").mkdir()
        bench = _Bench(folder, near, far, Storages(AREA, Timeouts(third_party=0)))
        yield from _large(bench, scale)
        yield from _small(bench, scale)


@dataclass(frozen=True)
class _Bench:
    folder: Path
    near: XRootD
    far: XRootD
    storages: Storages

    def bring(self, source: Source, to: Storage, lfn: str, expected: Expected) -> float:
        """Copy as a worker does; return the seconds."""
        own = temporary_names.own(AREA, 1, 1)
        began = time.perf_counter()
        copier.copy(source, to, own, lfn, expected, lambda: None)
        return time.perf_counter() - began

    def scratch(self, name: str) -> Source:
        """Return a file in the scratch folder as a source."""
        return open_source(f"file://{self.folder}/scratch/{name}", (f"{self.folder}/scratch",), ())

    @property
    def site(self) -> Storage:
        """The first server as a site."""
        return self.storages.at(self.near.url, {})

    @property
    def other(self) -> Storage:
        """The second server as a site."""
        return self.storages.at(self.far.url, {})

    @property
    def local(self) -> Storage:
        """A folder as a site."""
        (self.folder / "site").mkdir(exist_ok=True)
        return self.storages.at(f"file://{self.folder}/site", {})


def _timed(*command: object) -> float:
    began = time.perf_counter()
    subprocess.run([str(word) for word in command], check=True)
    return time.perf_counter() - began


def _large(bench: _Bench, scale: Scale) -> Iterator[Figure]:
    source = bench.folder / "scratch" / "large"
    _make(source, scale.large_bytes)
    expected = Expected(scale.large_bytes, _sum(source))
    kept = "/store/kept"
    bench.bring(bench.scratch("large"), bench.site, kept, expected)
    here, there = bench.near.url, bench.far.url
    target = bench.folder / "got"
    ways: dict[str, tuple[Callable[[], float], dict[str, Callable[[], float]]]] = {
        "put": (
            lambda: bench.bring(bench.scratch("large"), bench.site, "/store/put", expected),
            {
                "xrdcp": lambda: _timed(*_PLAIN, source, f"{here}/store/plain"),
                "xrdcp --cksum": lambda: _timed(*_SUMMED, source, f"{here}/store/plain"),
            },
        ),
        "get": (
            lambda: bench.bring(SiteFile(bench.site, kept), bench.local, "/store/got", expected),
            {"xrdcp --cksum": lambda: _timed(*_SUMMED, f"{here}{kept}", target)},
        ),
        "third party": (
            lambda: bench.bring(SiteFile(bench.site, kept), bench.other, "/store/tpc", expected),
            {
                "xrdcp --tpc": lambda: _timed(
                    *_PLAIN, "--tpc", "only", f"{here}{kept}", f"{there}/store/plain"
                )
            },
        ),
    }
    for name, (ours, others) in ways.items():
        rates: dict[str, list[float]] = defaultdict(list)
        for _ in range(scale.runs):
            for label, way in {"": ours, **others}.items():
                _forget(bench)
                rates[label].append(scale.large_bytes / 1e6 / way())
        for label in others:
            more = {"baseline_is": label, "bytes": scale.large_bytes}
            yield Figure("xrootd", f"{name} beside {label}", "MB/s", rates[""], rates[label], more)


def _forget(bench: _Bench) -> None:
    """Let all start alike: nothing at the destination, nothing that waits for the disk."""
    for storage, lfn in ((bench.site, "put"), (bench.other, "tpc"), (bench.local, "got")):
        storage.delete(f"/store/{lfn}")
    for server in (bench.near, bench.far):
        (server.root / "store" / "plain").unlink(missing_ok=True)
    (bench.folder / "got").unlink(missing_ok=True)
    os.sync()


def _small(bench: _Bench, scale: Scale) -> Iterator[Figure]:
    n = min(_SMALL_FILES, scale.small_files)
    small = bench.folder / "scratch" / "small"
    small.mkdir()
    for number in range(n):
        (small / str(number)).write_bytes(os.urandom(BYTES))
    wanted = [(str(m), Expected(BYTES, _sum(small / str(m)))) for m in range(n)]
    rates: list[float] = []
    floor: list[float] = []
    connections = []
    for run_ in range(scale.runs):
        before = bench.near.logins
        seconds = sum(
            bench.bring(bench.scratch(f"small/{name}"), bench.site, f"/store/s{run_}/{name}", fits)
            for name, fits in wanted
        )
        connections.append(bench.near.logins - before)
        rates.append(n / seconds)
        bench.near.plant(f"/store/plain{run_}/x", b"").unlink()  # xrdcp wants the folder to exist
        target = f"{bench.near.url}/store/plain{run_}/"
        floor.append(n / _timed(*_PLAIN, "--recursive", small, target))
    more = {
        "baseline_is": "xrdcp --recursive, which verifies nothing",
        "files": n,
        "ms_per_file": 1000 / max(rates),
        "connections": max(connections),
    }
    yield Figure("xrootd", f"{n} files of {BYTES} bytes", "files/s", rates, floor, more)
