"""The Dealer: a cycle at a hundred sites as the policy pool runs it, beside reading alone."""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from statistics import median

from dynamo.db.cycles import cycles
from dynamo.db.cycles.cycles import HeldCycle, NewCycle
from dynamo.db.engine.connection import connect
from dynamo.db.engine.unit_of_work import UnitOfWork
from dynamo.db.tables import Base
from dynamo.services.context import Context
from dynamo.services.dealer import cycle as dealer_cycle
from dynamo.settings import Settings
from dynamo.storage.registry import Storages
from tests.bench import synthetic, synthetic_dealer
from tests.bench.detox import load, read
from tests.bench.figures import Figure
from tests.bench.filling import fill, write
from tests.bench.machine import Meter
from tests.bench.scale import Scale
from tests.bench.stack import production_mariadb
from tests.servers import MariaDB

_SITES = 100
_ANALYSIS = 1
"""The partition that is copied into, by key."""
_HOLD = {"dealer": timedelta(hours=1)}


def run(folder: Path, scale: Scale) -> Iterator[Figure]:
    """Measure on MariaDB: reading; looking, deciding, keeping; then one plan carried out."""
    n_datasets = max(200, scale.million // 5)
    made = synthetic.snapshot(synthetic.Shape(_SITES, n_datasets, max(1000, scale.million)))
    with production_mariadb(folder / "mariadb") as server:
        engine = connect(server.create("dynamo_bench"))
        Base.metadata.create_all(engine)
        fill(server, made, folder)
        write(server, synthetic_dealer.tables(made), folder)
        ctx = Context(UnitOfWork(engine), Settings(data=folder), Storages("/store/temp/dynamo"))
        with ctx.begin() as work:
            work.execute(synthetic_dealer.FULL)
        desk = _Desk(ctx, server, folder, {"block_replicas": len(made.block_replicas.ids)})
        yield from desk.cycles(min(3, scale.runs))
        yield from desk.carried_out()
        engine.dispose()


@dataclass
class _Desk:
    ctx: Context
    server: MariaDB
    folder: Path
    more: dict[str, object]
    loading: list[float] = field(default_factory=list)
    kept: list[float] = field(default_factory=list)
    reading_cpu: list[float] = field(default_factory=list)
    """Seconds of processors, here and in the database, for reading the snapshot."""

    def cycles(self, runs: int) -> Iterator[Figure]:
        """Measure cycles that carry nothing out."""
        bare, looking, deciding, cpu, whole_cpu = [], [], [], [], []
        for _ in range(runs):
            bare.append(_milliseconds(lambda: read(self.ctx.begin)))
            meter = self._meter()
            self.loading.append(_milliseconds(lambda: load(self.ctx.begin)))
            self.reading_cpu.append(meter.used()["all"])
            held = self._held(dry_run=True)
            looking.append(_milliseconds(lambda: dealer_cycle.load(self.ctx, held)))  # noqa: B023
            seen = dealer_cycle.load(self.ctx, held)
            busy, started = time.process_time(), time.perf_counter()
            plan = dealer_cycle.decided(self.ctx.settings, seen)
            deciding.append(1000 * (time.perf_counter() - started))
            cpu.append(time.process_time() - busy)
            self.more |= {"proposals": len(plan.outcomes.proposer), "copies": len(plan.copies)}
            self.more["requests"] = len(seen.requested.blocks)
            del seen, plan
            meter = self._meter()
            self.kept.append(_milliseconds(lambda: dealer_cycle.run(self.ctx, held)))  # noqa: B023
            whole_cpu.append(meter.used()["all"])
        beside = {"baseline_is": "reading the snapshot", **self.more}
        yield Figure("dealer", "looking, requests included", "ms", looking, self.loading, beside)
        named = {**beside, "deciding_cpu_s": min(cpu)}
        yield Figure("dealer", "deciding", "ms", deciding, self.loading, named)
        named = {**beside, "cpu_ratio": self._beside_reading(median(whole_cpu))}
        yield Figure("dealer", "a cycle, nothing sent", "ms", self.kept, self.loading, named)
        named = {"baseline_is": "reading the same columns by the driver alone", **self.more}
        yield Figure("dealer", "from MariaDB to kept decisions", "ms", self.kept, bare, named)

    def carried_out(self) -> Iterator[Figure]:
        """Measure a cycle that sends all that it decided."""
        held = self._held(dry_run=False)
        plan = dealer_cycle.decided(self.ctx.settings, dealer_cycle.load(self.ctx, held))
        write(self.server, [synthetic_dealer.files(plan)], self.folder)
        del plan
        meter, started = self._meter(), time.perf_counter()
        summary = dealer_cycle.run(self.ctx, held)
        taken, used = 1000 * (time.perf_counter() - started), meter.used()["all"]
        done = summary["done"]
        sending = taken - min(self.kept)
        told = {"sent_blocks": done["blocks"], "sent_files": done["files"], "sending_ms": sending}
        ratio = self._beside_reading(used)
        named = {"baseline_is": "reading the snapshot", **self.more, **told, "cpu_ratio": ratio}
        yield Figure("dealer", "a whole cycle", "ms", [taken], self.loading, named)
        rate = done["files"] / sending * 1000
        yield Figure("dealer", "sending what was decided", "files/s", [rate], (), told)

    def _meter(self) -> Meter:
        return Meter({"all": {os.getpid(), self.server.process.pid}})

    def _beside_reading(self, seconds: float) -> float:
        return seconds / max(0.01, median(self.reading_cpu))

    def _held(self, *, dry_run: bool) -> HeldCycle:
        filed = NewCycle("dealer", _ANALYSIS, "bench", None, dry_run=dry_run)
        with self.ctx.begin() as work:
            held = cycles.claim(work, cycles.file(work, filed), "bench", _HOLD)
        assert held is not None
        return held


def _milliseconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return (time.perf_counter() - started) * 1000
