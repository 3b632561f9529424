"""Detox: from MariaDB to a complete plan, beside the time to read the same columns alone.

The inventory is synthetic: the shape of the first Dynamo's largest partition and its policy.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from statistics import median
from typing import Any

from sqlalchemy import func, select

from dynamo.db.cycles import cycles
from dynamo.db.engine import column_reader
from dynamo.db.engine.column_reader import ColumnQuery
from dynamo.db.engine.connection import connect
from dynamo.db.engine.unit_of_work import UnitOfWork
from dynamo.db.snapshots import loader as snapshot_loader
from dynamo.db.tables import Base, Decision, Partition
from dynamo.detox.decision_records import records
from dynamo.detox.engine import Question, decide
from dynamo.detox.limits import Limits
from dynamo.detox.plan import Plan
from dynamo.golden import cases
from dynamo.golden import detox as golden_detox
from dynamo.inventory.snapshot import Snapshot
from dynamo.policy.lint import check_policy
from dynamo.policy.partitions import read_partitions
from dynamo.services.context import Context
from dynamo.services.detox import cycle as detox_cycle
from dynamo.services.detox.cycle import RECORDS_AT_ONCE
from dynamo.settings import Settings
from dynamo.storage.registry import Storages
from tests.bench import plainly, synthetic
from tests.bench.figures import Figure
from tests.bench.filling import fill
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
            filed = cycles.NewCycle(BENCH, partition, "bench", None, "")
            hold = {BENCH: timedelta(hours=1)}
            held = cycles.claim(work, cycles.file(work, filed), "bench", hold)
        assert held is not None
        ctx = Context(self.begin, Settings(), Storages("/store/temp/dynamo"))
        keeping = _seconds(lambda: detox_cycle.keep(ctx, held, plan))
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
        assert golden_detox.decided(plans[0], case)["decisions"] == naive[0]["decisions"]
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
        column_reader.named(work, ColumnQuery("datasets", ("id", "LENGTH(status)", _STAMP, "name")))
        for table, names in _NUMBERS.items():
            column_reader.numbers(work, ColumnQuery(table, names))


def load(begin: UnitOfWork) -> Snapshot:
    """Read the inventory as a cycle does."""
    with begin.snapshot() as work:
        return snapshot_loader.load(work)


def _plan(found: Snapshot, text: str = synthetic.POLICY) -> Plan:
    policy = check_policy(text).policy
    partitions = read_partitions(found.partitions)
    return decide(Question(found, partitions, policy, float(synthetic.NOW)), Limits())
