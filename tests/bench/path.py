"""Small files through the whole path: registered, pulled, verified, recorded; closed and copied."""

import json
import os
import shutil
import time
import zlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dynamo import tokens
from dynamo.settings import Settings
from tests.bench.calling import Call, Caller, post
from tests.bench.figures import Figure
from tests.bench.machine import Meter, resident
from tests.bench.scale import Scale
from tests.bench.stack import production_mariadb
from tests.servers import redis_server
from tests.systems import System, family, up

BYTES = 1000
FIRST, SECOND = "T2_US_MIT", "T2_DE_DESY"
_RUNS = 3
_BULK = 1000
_CLIENTS = 2
_PATIENCE = 600


def run(folder: Path, scale: Scale) -> Iterator[Figure]:
    """Measure with `dynamo up` as it is installed: on MariaDB and Redis, and embedded."""
    with servers(folder) as (env, pids), up(folder / "mariadb-data", env) as system:
        yield from Course("mariadb", folder / "a", scale, system, pids).figures()
    with up(folder / "sqlite-data") as system:
        yield from Course("sqlite", folder / "b", scale, system, {}).figures()


@contextmanager
def servers(folder: Path) -> Iterator[tuple[dict[str, str], dict[str, set[int]]]]:
    """Run a MariaDB and a Redis; yield what a system is to know of them, and their processes."""
    (folder / "redis").mkdir()
    with production_mariadb(folder / "mariadb") as server, redis_server(folder / "redis") as broker:
        environment = {
            "DYNAMO_DATABASE_URL": server.create("dynamo_bench"),
            "DYNAMO_BROKER_URL": broker.url,
        }
        yield environment, {"database": {server.process.pid}}


@dataclass(frozen=True)
class Course:
    """What the files go through, on one system."""

    database: str
    folder: Path
    scale: Scale
    system: System
    servers: Mapping[str, set[int]]

    def figures(self) -> Iterator[Figure]:
        """Measure some rounds."""
        self.sites()
        rates: dict[str, list[float]] = defaultdict(list)
        used: dict[str, list[dict[str, float]]] = defaultdict(list)
        floor = []
        before = self._megabytes()
        for number in range(min(_RUNS, self.scale.runs)):
            calls = self._outputs(number)
            floor.append(self.scale.small_files / self._plain(number))
            for name, act in (("inject", self._inject), ("copy", self._copy)):
                meter = Meter(self._processes())
                began = time.perf_counter()
                act(number, calls)
                rates[name].append(self.scale.small_files / (time.perf_counter() - began))
                used[name].append(meter.used())
            shutil.rmtree(self.folder / "plain")
        for name, values in rates.items():
            more: dict[str, Any] = {
                "baseline_is": "shutil.copyfile and Adler-32 of the same files, then one sync",
                "files": self.scale.small_files,
                "cpu_s": {
                    part: round(cpu, 2) for part, cpu in used[name][-1].items() if cpu > 0.05
                },
            }
            if name == "inject":
                more["memory_mb_before_after"] = [before, self._megabytes()]
            label = f"{self.database}, {BYTES} bytes each, {name}"
            yield Figure("path", label, "files/s", values, floor, more)

    def sites(self) -> None:
        """Register the two sites."""
        operator = caller(self.system, "operator")
        for name in (FIRST, SECOND):
            (self.folder / name).mkdir(parents=True)
            site = {"kind": "disk", "status": "ready", "url": f"file://{self.folder / name}"}
            site["scratch"] = [str(self.folder / "scratch")]  # type: ignore[assignment]
            operator.each([put(f"/v1/sites/{name}", site)])
            operator.each([put(f"/v1/sites/{name}/quotas/User", {"limit": 10**15})])

    def _outputs(self, number: int) -> list[Call]:
        """Write what jobs would have written, and make the calls that hand it over."""
        calls = []
        for start in range(0, self.scale.small_files, _BULK):
            scratch = self.folder / "scratch" / f"{number}-{start}"
            scratch.mkdir(parents=True)
            files = [
                output(scratch, f"{number}-{n}")
                for n in range(start, min(start + _BULK, self.scale.small_files))
            ]
            calls.append(
                post("/v1/injections", {"dataset": _dataset(number), "site": FIRST, "files": files})
            )
        return calls

    def _plain(self, number: int) -> float:
        target = self.folder / "plain"
        sources = list((self.folder / "scratch").glob(f"{number}-*/*"))
        target.mkdir()
        os.sync()
        began = time.perf_counter()
        for source in sources:
            shutil.copyfile(source, target / source.name)
            zlib.adler32((target / source.name).read_bytes())
        os.sync()
        return time.perf_counter() - began

    def _inject(self, number: int, calls: list[Call]) -> None:
        client = caller(self.system)
        client.all(calls, _CLIENTS)
        query = f"dataset={_dataset(number).replace('/', '%2F')}&limit=1000"
        until(lambda: all_done(client.get(f"/v1/injections?{query}")))

    def _copy(self, number: int, _calls: list[Call]) -> None:
        client = caller(self.system)
        client.post("/v1/closures", {"dataset": _dataset(number)})
        body = {"dataset": _dataset(number), "site": SECOND, "consolidate": False}
        filed = client.post("/v1/copies", body)
        until(lambda: client.get(f"/v1/copies/{filed['id']}")["state"] == "done")

    def _processes(self) -> dict[str, set[int]]:
        ours = {name: {pid} | family(pid) for name, pid in self.system.running.pids.items()}
        return {**ours, **self.servers}

    def memory(self, names: Sequence[str]) -> dict[str, int]:
        """Return the bytes that some of the programs hold."""
        return {name: resident(self._processes()[name]) for name in names}

    def _megabytes(self) -> dict[str, int]:
        found = self.memory(("api", "transfer", "policy"))
        return {name: size // 10**6 for name, size in found.items()}


def caller(system: System, *roles: str) -> Caller:
    """Return a client of a system that speaks for a user."""
    token = tokens.issue(Settings(data=system.data), "alice", ["user", *roles], datetime.now(UTC))
    return Caller(system.address, token)


def _dataset(number: int) -> str:
    return f"/Small/alice-run{number}/USER"


def output(scratch: Path, name: str) -> dict[str, object]:
    """Write what a job would have written; return how it is handed over."""
    content = os.urandom(BYTES)
    (scratch / name).write_bytes(content)
    return {
        "lfn": f"/store/user/dynamo/alice/Small/{scratch.name}/{name}.root",
        "size": BYTES,
        "adler32": f"{zlib.adler32(content):08x}",
        "source": f"file://{scratch / name}",
    }


def put(path: str, body: object) -> Call:
    """Make a call that changes something."""
    return "PUT", path, json.dumps(body).encode()


def all_done(page: Any) -> bool:
    """Tell whether all requests of a page are done. Raises RuntimeError where one never will be."""
    states = {one["state"] for one in page["items"]}
    if states & {"failed", "held"}:
        raise RuntimeError(str([one["problems"][:1] for one in page["items"]]))
    return states == {"done"}


def until(holds: Any) -> None:
    """Wait until something holds. Raises TimeoutError after ten minutes."""
    end = time.monotonic() + _PATIENCE
    while not holds():
        if time.monotonic() > end:
            raise TimeoutError("the files did not arrive")
        time.sleep(0.05)
