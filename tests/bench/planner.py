"""The planner: a pass over copy requests that wait, beside one row read in a transaction.

Ten thousand requests wait as they do in production: for room at a site, for room at any of several,
for files that are held, for files on their way, for a consolidation that is not complete.
"""

import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import event, func, select

from dynamo.db.tables import Partition, Request
from dynamo.operations.hints import batches
from dynamo.services.context import Context
from dynamo.services.dealer import planner
from dynamo.settings import Settings
from tests.bench.figures import Figure
from tests.bench.filling import Table, write
from tests.bench.machine import Meter
from tests.bench.scale import Scale
from tests.bench.stack import fresh, production_mariadb
from tests.servers import MariaDB

BENCH = "planner"
_ROOM, _FULL = 20, 20
"""Sites that take copies, and sites that are full."""
_BLOCKS, _FILES = 4, 5
"""Of a dataset, and of a block."""
_SIZE = 10**9
_ALICE = 1
_NOW = "2026-11-22 12:00:00"
_CASES = ("full", "choice", "held", "going", "consolidation")
_AT_ONCE = 50
"""Requests that one message of the sweep names."""


def run(folder: Path, scale: Scale) -> Iterator[Figure]:
    """Measure on MariaDB: the first pass, and passes in which nothing changes."""
    settings = Settings(data=folder)
    with production_mariadb(folder / "mariadb") as server:
        ctx = fresh(server.create("dynamo_bench"), settings, folder)
        fill(ctx, server, folder, scale.waiting)
        desk = _Desk(ctx, server, scale.waiting)
        first = desk.passed()
        reads, passes = [], []
        for _ in range(min(3, scale.runs)):
            reads.append(desk.read())
            passes.append(desk.passed())
        values = [one.milliseconds for one in passes]
        more = {
            "baseline_is": "one request read by its key in a transaction of its own",
            "requests": scale.waiting,
            "cpu_ms": passes[-1].cpu_milliseconds,
            "first_pass_ms": first.milliseconds,
            "statements": passes[-1].statements,
            "transactions": passes[-1].transactions,
            "states": json.dumps(desk.states()),
        }
        yield Figure(BENCH, "a request that waits, a pass", "ms", values, reads, more)
        ctx.begin.engine.dispose()


@dataclass(frozen=True)
class Pass:
    """What one pass has cost, per request."""

    milliseconds: float
    cpu_milliseconds: float
    """Of processors, here and in the database."""
    statements: float
    transactions: float


@dataclass
class _Desk:
    ctx: Context
    server: MariaDB
    n: int

    def passed(self) -> Pass:
        """Plan all requests once."""
        meter = Meter({"all": {os.getpid(), self.server.process.pid}})
        with counted(self.ctx) as count:
            began = time.perf_counter()
            for ids in batches(range(1, self.n + 1), _AT_ONCE):
                planner.plan(self.ctx, ids)
            taken = time.perf_counter() - began
        cpu = meter.used()["all"]
        return Pass(
            1000 * taken / self.n,
            1000 * cpu / self.n,
            count.statements / self.n,
            count.transactions / self.n,
        )

    def read(self) -> float:
        """Read some of the requests, each alone; return milliseconds for one."""
        some = range(1, min(self.n, 1000) + 1)
        began = time.perf_counter()
        for key in some:
            with self.ctx.begin() as work:
                work.row(select(Request.id, Request.state).where(Request.id == key))
        return 1000 * (time.perf_counter() - began) / len(some)

    def states(self) -> dict[str, int]:
        """Count what requests wait for."""
        counted = select(Request.state, Request.reason, func.count()).group_by(
            Request.state, Request.reason
        )
        with self.ctx.begin.reading() as work:
            return {f"{state} {reason}": n for state, reason, n in work.rows(counted)}


@dataclass
class Count:
    """What has been sent to a database."""

    statements: int = 0
    transactions: int = 0


@contextmanager
def counted(ctx: Context) -> Iterator[Count]:
    """Count statements and transactions as long as it is open."""
    count, engine = Count(), ctx.begin.engine

    def statement(*_: object) -> None:
        count.statements += 1

    def transaction(*_: object) -> None:
        count.transactions += 1

    event.listen(engine, "before_cursor_execute", statement)
    event.listen(engine, "begin", transaction)
    try:
        yield count
    finally:
        event.remove(engine, "before_cursor_execute", statement)
        event.remove(engine, "begin", transaction)


# --- what waits ----------------------------------------------------------------------------------


def fill(ctx: Context, server: MariaDB, folder: Path, n: int) -> None:
    """Write sites, datasets with their files, and requests that wait for them."""
    with ctx.begin.reading() as work:
        partition = work.scalar(select(Partition.id).where(Partition.name == "User"))
    assert partition is not None
    write(server, _tables(n, partition), folder)


_SITE = ("id", "name", "kind", "status", "url", "rules", "scratch", "sources", "created")
_DATASET = (
    *("id", "name", "owner_id", "partition_id", "status", "type", "is_open", "n_files", "bytes"),
    *("created", "updated"),
)
_BLOCK = (
    *("id", "dataset_id", "site_id", "uuid", "closed", "n_files", "bytes", "created"),
    *("last_file", "closed_at"),
)
_FILE = ("id", "lfn", "lfn_hash", "dataset_id", "block_id", "size", "adler32", "created")
_REPLICA = (
    *("id", "block_id", "dataset_id", "site_id", "partition_id", "custodial", "state"),
    *("n_files", "bytes", "complete", "in_use", "request_id", "created", "updated"),
)
_REQUEST = (
    *("id", "kind", "state", "owner_id", "dataset", "body", "n_files", "n_done", "n_failed"),
    *("bytes", "bytes_done", "not_before", "trace", "created", "updated"),
)
_TRANSFER = (
    *("kind", "request_id", "file_id", "site_id", "replica_id", "source_id", "confirmed"),
    *("state", "attempts", "lost", "not_before", "hinted", "lease_no", "reason", "error"),
    *("created", "updated"),
)


def _tables(n: int, partition: int) -> Iterator[Table]:
    yield "sites", _SITE, _sites()
    yield (
        "quotas",
        ("site_id", "partition_id", "max_bytes", "projected", "used"),
        ((key, partition, 10**17 if key < 100 + _ROOM else 1, 0, 0) for key in _site_ids()),
    )
    yield "datasets", _DATASET, (_dataset(key, partition) for key in range(1, n + 1))
    yield "blocks", _BLOCK, (_block(key) for key in range(1, n * _BLOCKS + 1))
    yield "files", _FILE, (_file(key) for key in range(1, n * _BLOCKS * _FILES + 1))
    yield "requests", _REQUEST, (_request(key) for key in range(1, n + 1))
    yield "block_replicas", _REPLICA, _replicas(n, partition)
    yield "transfers", _TRANSFER, _transfers(n)


def _site_ids() -> range:
    return range(100, 100 + _ROOM + _FULL)


def _sites() -> Iterator[Sequence[object]]:
    for key in _site_ids():
        name = f"T2_ROOM_{key}" if key < 100 + _ROOM else f"T2_FULL_{key}"
        yield key, name, "disk", "ready", f"file:///{name}", "{}", "[]", "[]", _NOW


def _case(dataset: int) -> str:
    return _CASES[dataset % len(_CASES)]


def _source(dataset: int) -> int:
    return 100 + dataset % _ROOM


def _destination(dataset: int) -> int:
    return 100 + (dataset + 1) % _ROOM


def _name(dataset: int) -> str:
    return f"/Bench/alice-d{dataset}/USER"


def _dataset(key: int, partition: int) -> Sequence[object]:
    n_files = _BLOCKS * _FILES
    head = (key, _name(key), _ALICE, partition, "valid", "unknown", 0, n_files, n_files * _SIZE)
    return *head, _NOW, _NOW


def _of_block(block: int) -> int:
    return (block - 1) // _BLOCKS + 1


def _of_file(file: int) -> int:
    return (file - 1) // _FILES + 1


def _block(key: int) -> Sequence[object]:
    dataset = _of_block(key)
    head = (key, dataset, _source(dataset), f"b{key}", 1, _FILES, _FILES * _SIZE)
    return *head, _NOW, _NOW, _NOW


def _file(key: int) -> Sequence[object]:
    block = _of_file(key)
    lfn = f"/store/user/dynamo/alice/f{key}"
    return key, lfn, f"{key:016d}", _of_block(block), block, _SIZE, "00000001", _NOW


def _request(key: int) -> Sequence[object]:
    case = _case(key)
    body: dict[str, object] = {"sites": [f"T2_ROOM_{_destination(key)}"], "consolidate": False}
    if case == "full":
        body["sites"] = [f"T2_FULL_{100 + _ROOM + key % _FULL}"]
    if case == "choice":
        body |= {"sites": ["T2_FULL_*"], "copies": 1}
    if case == "consolidation":
        body["consolidate"] = True
    head = (key, "copy", "queued", _ALICE, _name(key), json.dumps(body), 0, 0, 0, 0, 0)
    return *head, _NOW, "bench", _NOW, _NOW


def _comes(dataset: int) -> bool:
    """Tell whether a part of it lies at the destination, and the rest is sent for."""
    return _case(dataset) in ("held", "going", "consolidation")


def _replicas(n: int, partition: int) -> Iterator[Sequence[object]]:
    """Yield whole blocks where they lie, and parts where they are wanted."""
    rest = (0, "valid")
    for block in range(1, n * _BLOCKS + 1):
        dataset = _of_block(block)
        whole = (_FILES, _FILES * _SIZE, 1, 0, "\\N", _NOW, _NOW)
        yield block, block, dataset, _source(dataset), partition, *rest, *whole
        if _comes(dataset):
            key, part = n * _BLOCKS + block, (0, 0, 0, 0, dataset, _NOW, _NOW)
            yield key, block, dataset, _destination(dataset), partition, *rest, *part


def _transfers(n: int) -> Iterator[Sequence[object]]:
    for file in range(1, n * _BLOCKS * _FILES + 1):
        block = _of_file(file)
        dataset = _of_block(block)
        if not _comes(dataset):
            continue
        head = ("copy", dataset, file, _destination(dataset), n * _BLOCKS + block, block, 1)
        if _case(dataset) == "held":
            state = ("held", 3, 0, "2036-01-01", _NOW, 0, "permission-denied", "no")
        else:
            state = ("queued", 0, 0, _NOW, _NOW, 0, "\\N", "\\N")
        yield *head, *state, _NOW, _NOW
