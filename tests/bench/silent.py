"""Nine good sites beside a tenth that answers nobody: how many files a second reach the nine."""

import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.calling import Call, Caller, post
from tests.bench.figures import Figure
from tests.bench.path import all_done, caller, output, put, servers, until
from tests.bench.scale import Scale
from tests.systems import System, up

GOOD = tuple(f"T2_GOOD_{letter}" for letter in "ABCDEFGHI")
SILENT = "T2_SILENT"
_RUNS = 3
_BULK = 1000


def run(folder: Path, scale: Scale) -> Iterator[Figure]:
    """Measure rounds without the tenth, then as many while workers wait for it."""
    with (
        servers(folder) as (env, _pids),
        up(folder / "data", env) as system,
        socket.create_server(("127.0.0.1", 0), backlog=1000) as deaf,
    ):
        yield _Field(folder, scale, system, deaf.getsockname()[1]).figure()


@dataclass(frozen=True)
class _Field:
    folder: Path
    scale: Scale
    system: System
    port: int

    def figure(self) -> Figure:
        self._sites()
        runs = range(min(_RUNS, self.scale.runs))
        self._round("warm")
        alone = [self._round(f"alone{n}") for n in runs]
        for n in range(2):  # two jobs, each with more than all threads can take
            self._caller().each(self._outputs(SILENT, f"silent{n}", self.scale.small_files // 5))
        until(lambda: self._streams() > 0)
        streams = self._streams()
        beside = [self._round(f"beside{n}") for n in runs]
        more = {
            "baseline_is": "the same nine sites, while nobody waits for a tenth",
            "streams_that_wait": streams,
            "still_waiting": self._streams(),
        }
        return Figure(
            "silent", "files to nine sites beside a silent tenth", "files/s", beside, alone, more
        )

    def _sites(self) -> None:
        operator = self._caller("operator")
        scratch = [str(self.folder / "scratch")]
        urls = {name: f"file://{self.folder / name}" for name in GOOD}
        for name, url in {**urls, SILENT: f"root://127.0.0.1:{self.port}//data"}.items():
            (self.folder / name).mkdir()
            site = {"kind": "disk", "status": "ready", "url": url, "scratch": scratch}
            operator.each([put(f"/v1/sites/{name}", site)])
            operator.each([put(f"/v1/sites/{name}/quotas/User", {"limit": 10**15})])

    def _round(self, name: str) -> float:
        """Bring files to the nine; return how many a second."""
        each = max(1, self.scale.small_files // len(GOOD))
        calls = [call for site in GOOD for call in self._outputs(site, f"{name}{site}", each)]
        client = self._caller()
        began = time.perf_counter()
        client.each(calls)
        until(lambda: all(all_done(self._injections(client, f"{name}{site}")) for site in GOOD))
        return each * len(GOOD) / (time.perf_counter() - began)

    def _outputs(self, site: str, name: str, count: int) -> list[Call]:
        """Write what jobs would have written, and make the calls that hand it over."""
        calls = []
        for start in range(0, count, _BULK):
            scratch = self.folder / "scratch" / f"{name}-{start}"
            scratch.mkdir(parents=True)
            files = [output(scratch, str(n)) for n in range(min(_BULK, count - start))]
            body = {"dataset": _dataset(name), "site": site, "files": files}
            calls.append(post("/v1/injections", body))
        return calls

    def _injections(self, client: Caller, name: str) -> Any:
        query = f"dataset={_dataset(name).replace('/', '%2F')}&limit=1000"
        return client.get(f"/v1/injections?{query}")

    def _streams(self) -> int:
        found = self._caller().get(f"/v1/sites/{SILENT}")
        return int(found["streams"]["in"])

    def _caller(self, *roles: str) -> Caller:
        return caller(self.system, *roles)


def _dataset(name: str) -> str:
    return f"/Silent/alice-{name}/USER"
