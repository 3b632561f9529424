"""Detox: from MariaDB to a complete plan, beside the time to read the same columns alone.

The inventory is synthetic: the shape of the first Dynamo's largest partition and its policy.
"""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from statistics import median
from typing import Any

import pymysql
from sqlalchemy import func, select

from dynamo.cli import cases, replay
from dynamo.db import columns, cycles, snapshot
from dynamo.db.columns import Rows
from dynamo.db.tables import Base, Decision, Partition
from dynamo.db.work import UnitOfWork, connect
from dynamo.detox.engine import Question, decide
from dynamo.detox.limits import Limits
from dynamo.detox.plan import Plan
from dynamo.detox.records import records
from dynamo.inventory.snapshot import DATASET_STATUSES, SITE_KINDS, SITE_STATUSES, Snapshot
from dynamo.policy.advice import check_policy
from dynamo.policy.partitions import read_partitions
from dynamo.services import detoxing
from dynamo.services.detoxing import RECORDS_AT_ONCE
from dynamo.services.tools import Tools
from dynamo.settings import Settings
from dynamo.storage.registry import Storages
from tests.bench import plainly, synthetic
from tests.bench.figures import Figure
from tests.bench.machine import Meter, resident
from tests.bench.scale import Scale
from tests.bench.stack import production_mariadb
from tests.detox.naive import Detox
from tests.servers import MariaDB

BENCH = "detox"
_VALID = "CASE WHEN state = 'valid' THEN 1 ELSE 0 END"
_STAMP = "TIMESTAMPDIFF(SECOND, '1970-01-01', updated)"
_NUMBERS = {
    "blocks": ("id", "dataset_id", "bytes", "n_files"),
    "block_replicas": (
        *("id", "block_id", "dataset_id", "site_id", "COALESCE(group_id, 0)", "bytes", "n_files"),
        *(_STAMP, "complete", "custodial", _VALID),
    ),
    "dataset_replicas": ("dataset_id", "site_id", "growing", "COALESCE(group_id, 0)"),
}
"""What a cycle needs to know of the large tables, besides the datasets' names."""
_NOW = "2026-11-22 12:00:00"


_CAMPAIGN = 4_000
_SMALLEST = 2_000
"""Block replicas of the first inventory that the naive evaluator decides about."""
_TICK = 10
"""Milliseconds: the kernel counts no shorter times."""
_PATIENCE = 60
"""Seconds after which it gets no larger one."""


def run(folder: Path, scale: Scale) -> Iterator[Figure]:
    """Measure at two sizes, a fourth apart, and what a campaign's policy and the records cost."""
    with production_mariadb(folder / "mariadb") as server:
        for size in (scale.million // 4, scale.million):
            with _filled(server, size, folder) as hall:
                yield from hall.figures(min(3, scale.runs))
                if size == scale.million:
                    yield hall.campaign(min(3, scale.runs))
                    yield from hall.records()
    yield from _naively(scale)


def large(folder: Path, scale: Scale) -> Iterator[Figure]:
    """Measure at the size that the first Dynamo was measured at (1.4 million), and at five."""
    with production_mariadb(folder / "mariadb") as server:
        for size, runs in (
            (14 * scale.million // 9, min(3, scale.runs)),
            (50 * scale.million // 9, 1),
        ):
            with _filled(server, size, folder) as hall:
                yield from hall.figures(runs)


@contextmanager
def _filled(server: MariaDB, size: int, folder: Path) -> Iterator["_Hall"]:
    made = synthetic.snapshot(
        synthetic.Shape(n_datasets=max(200, size // 5), n_rows=max(1000, size))
    )
    engine = connect(server.create("dynamo_bench"))
    Base.metadata.create_all(engine)
    fill(server, made, folder)
    count = len(made.block_replicas.ids)
    del made  # what is measured has the memory to itself
    yield _Hall(UnitOfWork(engine), count, server.process.pid)
    Base.metadata.drop_all(engine)
    engine.dispose()


@dataclass(frozen=True)
class _Hall:
    """An inventory in MariaDB."""

    begin: UnitOfWork
    size: int
    database: int

    def figures(self, runs: int) -> Iterator[Figure]:
        bare, loading, whole = [], [], []
        cpu: dict[str, list[float]] = {"bare": [], "loading": [], "whole": []}
        rounds = gone = 0
        for _ in range(runs):
            bare.append(self._timed(lambda: read(self.begin), cpu["bare"]))
            loading.append(self._timed(lambda: load(self.begin), cpu["loading"]))
            plans: list[Plan] = []
            whole.append(
                self._timed(lambda: plans.append(_plan(load(self.begin))), cpu["whole"])  # noqa: B023
            )
            rounds, gone = plans[0].rounds, len(plans[0].deletions.row)
        more = {
            "baseline_is": "reading the same columns by the driver alone",
            "block_replicas": self.size,
            "of_it_loading_ms": min(loading),
            "cpu_ratio": median(cpu["whole"]) / max(_TICK, median(cpu["bare"])),
            "cpu_s": median(cpu["whole"]) / 1000,
            "rounds": rounds,
            "deleted": gone,
            "megabytes": resident([os.getpid()]) // 10**6,
        }
        label = f"from MariaDB to a plan, {self.size} block replicas"
        yield Figure(BENCH, label, "ms", whole, bare, more)

    def campaign(self, runs: int) -> Figure:
        """Compare the short policy with one that names thousands of datasets as well."""
        found = load(self.begin)
        names = found.datasets.labels
        step = max(1, len(names) // _CAMPAIGN)
        lines = [f"Protect dataset.name == {names[n]}" for n in range(0, len(names), step)]
        head, mark, rest = synthetic.POLICY.partition("Ignore ")
        longer = f"{head}{mark}{rest.partition(chr(10))[0]}\n" + "\n".join(lines[:_CAMPAIGN])
        longer += "\n" + rest.partition("\n")[2]
        short, long = [], []
        for _ in range(runs):
            short.append(_seconds(lambda: _plan(found)))
            long.append(_seconds(lambda: _plan(found, longer)))
        more = {"baseline_is": "the policy of 32 lines", "lines": len(lines[:_CAMPAIGN])}
        label = "a plan by a campaign's policy, read and decided"
        return Figure(BENCH, label, "ms", long, short, more)

    def records(self) -> Iterator[Figure]:
        """Measure what making the decisions of a plan takes, and keeping them."""
        plan = _plan(load(self.begin))
        count = 0
        making = _seconds(lambda: [some.facts for some in records(plan, RECORDS_AT_ONCE)])
        with self.begin() as work:
            partition = work.scalar(select(Partition.id).where(Partition.name == "Physics"))
            filed = cycles.Filed(BENCH, partition, "bench", None, "")
            hold = {BENCH: timedelta(hours=1)}
            held = cycles.claim(work, cycles.file(work, filed), "bench", hold)
        assert held is not None
        use = Tools(self.begin, Settings(), Storages("/store/temp/dynamo"))
        keeping = _seconds(lambda: detoxing.keep(use, held, plan))
        with self.begin.reading() as work:
            count = work.scalar(select(func.count()).select_from(Decision))
        more = {"decisions": count, "of_it_making_them_ms": making}
        yield Figure(BENCH, "decisions kept with their reasons", "ms", [keeping], (), more)

    def _timed(self, call: Callable[[], object], cpu: list[float]) -> float:
        """Return the milliseconds, and note those of the processors here and in the database."""
        meter = Meter({"all": {os.getpid(), self.database}})
        taken = _seconds(call)
        cpu.append(1000 * meter.used()["all"])
        return taken


def _naively(scale: Scale) -> Iterator[Figure]:
    """Compare with the evaluator of the tests, up to the size that it can finish."""
    size, seconds = min(_SMALLEST, scale.million), 0.0
    while size <= scale.million and seconds * 4 < _PATIENCE:
        case = plainly.case(synthetic.snapshot(synthetic.Shape(12, size // 5, size)))
        naive: list[Any] = []
        slow = _seconds(lambda: naive.append(Detox(case).run()))  # noqa: B023
        world = cases.load(case)
        policy = check_policy(synthetic.POLICY).policy
        asked = Question(world.snapshot, world.partitions, policy, world.now)
        plans: list[Plan] = []
        fast = _seconds(lambda: plans.append(decide(asked)))  # noqa: B023
        assert replay.decided(plans[0], case)["decisions"] == naive[0]["decisions"]
        more = {"baseline_is": "the naive evaluator of the tests: the same decisions"}
        label = f"a plan, {len(world.snapshot.block_replicas.ids)} block replicas"
        yield Figure(BENCH, label, "ms", [fast], [slow], more)
        size, seconds = size * 2, slow / 1000


def _seconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return (time.perf_counter() - started) * 1000


def read(begin: UnitOfWork) -> None:
    """Read the columns in bulk, the quickest way that needs no other driver, and nothing else."""
    with begin.snapshot() as work:
        columns.named(work, Rows("datasets", ("id", "LENGTH(status)", _STAMP, "name")))
        for table, names in _NUMBERS.items():
            columns.numbers(work, Rows(table, names))


def load(begin: UnitOfWork) -> Snapshot:
    """Read the inventory as a cycle does."""
    with begin.snapshot() as work:
        return snapshot.load(work)


def _plan(found: Snapshot, text: str = synthetic.POLICY) -> Plan:
    policy = check_policy(text).policy
    partitions = read_partitions(found.partitions)
    return decide(Question(found, partitions, policy, float(synthetic.NOW)), Limits())


# --- filling -------------------------------------------------------------------------------------


def fill(server: MariaDB, made: Snapshot, folder: Path) -> None:
    """Write a snapshot into the tables, as fast as the server takes it."""
    account = {"user": "admin", "password": "admin", "database": "dynamo_bench"}
    with (
        pymysql.connect(
            host="127.0.0.1", port=server.port, local_infile=True, autocommit=True, **account
        ) as link,
        link.cursor() as cursor,
    ):
        cursor.execute("SET foreign_key_checks = 0, unique_checks = 0")
        for table, names, rows in _tables(made):
            path = folder / f"{table}.tsv"
            with path.open("w") as file:
                file.writelines("\t".join(map(str, row)) + "\n" for row in rows)
            cursor.execute(
                f"LOAD DATA LOCAL INFILE '{path}' INTO TABLE `{table}` ({', '.join(names)})"
            )
            path.unlink()
        for table in ("datasets", "blocks", "block_replicas", "dataset_replicas"):
            cursor.execute(f"ANALYZE TABLE {table}")


def _tables(made: Snapshot) -> Iterator[tuple[str, Sequence[str], Iterable[Sequence[object]]]]:
    """Yield tables, their columns and rows; keys begin at 1."""
    yield "groups", ("id", "name", "level"), _groups(made)
    yield "sites", _SITE, _sites(made)
    partitions = enumerate(made.partitions, 1)
    yield (
        "partitions",
        ("id", "name", "definition"),
        ((n, one.name, one.text) for n, one in partitions),
    )
    yield "quotas", ("site_id", "partition_id", "max_bytes", "projected", "used"), _quotas(made)
    yield "datasets", _DATASET, _datasets(made)
    yield "blocks", _BLOCK, _blocks(made)
    yield "dataset_replicas", _WHOLE, _whole(made)
    yield "block_replicas", _REPLICA, _replicas(made)


_SITE = ("id", "name", "kind", "status", "url", "rules", "scratch", "sources", "created")
_DATASET = (
    *("id", "name", "partition_id", "status", "type", "is_open", "n_files", "bytes"),
    *("created", "updated"),
)
_BLOCK = (
    *("id", "dataset_id", "uuid", "closed", "n_files", "bytes", "created", "last_file"),
    "closed_at",
)
_WHOLE = ("dataset_id", "site_id", "group_id", "growing", "created")
_REPLICA = (
    *("id", "block_id", "dataset_id", "site_id", "group_id", "partition_id", "custodial", "state"),
    *("n_files", "bytes", "complete", "in_use", "created", "updated"),
)


def _groups(made: Snapshot) -> Iterator[Sequence[object]]:
    for place in range(1, len(made.groups.labels)):
        level = "dataset" if made.groups.whole[place] else "block"
        yield place, made.groups.labels[place], level


def _sites(made: Snapshot) -> Iterator[Sequence[object]]:
    for place, name in enumerate(made.sites.labels):
        kind = SITE_KINDS[made.sites.kind[place]]
        status = SITE_STATUSES[made.sites.status[place]]
        yield place + 1, name, kind, status, "file:///x", "{}", "[]", "[]", _NOW


def _quotas(made: Snapshot) -> Iterator[Sequence[object]]:
    for partition, row in enumerate(made.quotas.tolist(), 1):
        for site, quota in enumerate(row, 1):
            if quota == quota:
                yield site, partition, int(quota), 0, 0


def _datasets(made: Snapshot) -> Iterator[Sequence[object]]:
    known = made.datasets
    for place, name in enumerate(known.labels):
        status, at = DATASET_STATUSES[known.status[place]], _moment(known.updated[place])
        yield place + 1, name, 1, status, "mc", 0, 0, int(known.size[place]), at, at


def _blocks(made: Snapshot) -> Iterator[Sequence[object]]:
    known = made.blocks
    columns_of = (known.dataset.tolist(), known.n_files.tolist(), known.size.tolist())
    for key, (dataset, files, size) in enumerate(zip(*columns_of, strict=True), 1):
        yield key, dataset + 1, f"b{key}", 1, files, size, _NOW, _NOW, _NOW


def _whole(made: Snapshot) -> Iterator[Sequence[object]]:
    known = made.replicas
    columns_of = (known.dataset, known.site, known.group, known.growing)
    for dataset, site, group, growing in zip(*(one.tolist() for one in columns_of), strict=True):
        yield dataset + 1, site + 1, group or "\\N", int(growing), _NOW


def _replicas(made: Snapshot) -> Iterator[Sequence[object]]:
    known, of = made.block_replicas, made.replicas
    columns_of = (
        *(known.block, of.dataset[known.replica], of.site[known.replica], known.group),
        *(known.custodial, known.n_files, known.size, known.complete, known.updated),
    )
    rows = zip(*(one.tolist() for one in columns_of), strict=True)
    for key, (block, dataset, site, group, custodial, files, size, complete, at) in enumerate(
        rows, 1
    ):
        head = (key, block + 1, dataset + 1, site + 1, group or "\\N", 1, int(custodial))
        yield *head, "valid", files, size, int(complete), 0, _NOW, _moment(at)


def _moment(seconds: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(int(seconds)))
