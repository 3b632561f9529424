"""What is written about transfers: claimed, recorded, block complete, without moving a byte.

A worker's own units of work are called with arrivals that nobody checked: a stream begins, a batch
is claimed and recorded, the stream ends, as `carry` calls them before and after storages. What was
injected is copied to another site then, until all its block replicas are complete there too.
"""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import func, select

from dynamo.db.tables import Block, BlockReplica, Dataset, Transfer
from dynamo.db.transfers import streams, transfers
from dynamo.db.work import claims
from dynamo.inventory import schemas
from dynamo.inventory.callers import Caller
from dynamo.inventory.states import Role
from dynamo.services.context import Context
from dynamo.services.copies import submission as copies_submission
from dynamo.services.dealer import planner
from dynamo.services.injection import closure
from dynamo.services.injection import submission as injection_submission
from dynamo.services.leases import new_holder
from dynamo.services.transfers import finisher, throttler
from dynamo.services.transfers.finisher import Arrived
from dynamo.services.transfers.throttler import Experience
from dynamo.settings import Settings
from tests.bench import files
from tests.bench.bare import Bare, bare
from tests.bench.figures import Figure
from tests.bench.machine import Meter
from tests.bench.scale import Scale
from tests.bench.stack import SECOND, SITE, fresh, production_mariadb, register_site

_BATCH = 100
_ALICE = Caller("alice", frozenset({Role.USER}))


def run(folder: Path, scale: Scale) -> Iterator[Figure]:
    """Measure on MariaDB, with one thread and with several."""
    settings = Settings(data=folder)
    with production_mariadb(folder / "mariadb") as server, bare(server, folder) as floor:
        ctx = fresh(server.create("dynamo_bench"), settings, folder)
        with ctx.begin() as work:
            register_site(work, SECOND, folder)
        desk = _Desk(ctx, floor, folder / "scratch", scale.small_files)
        for threads in (1, 4):
            floors: list[float] = []
            rates: dict[str, list[float]] = {"injections": [], "copies": []}
            cpu = dict.fromkeys(rates, 0.0)
            for _ in range(scale.runs):
                floors.append(desk.bare())
                for kind, begin in (("injections", desk.injected), ("copies", desk.copied)):
                    ids = begin()
                    meter = Meter({"database": {server.process.pid}})
                    rates[kind].append(desk.work(threads, ids))
                    cpu[kind] += meter.used()["database"]
                desk.check()
            for kind, values in rates.items():
                more = {
                    "baseline_is": "two UPDATEs of the same rows and the INSERT of their presence",
                    "files": desk.files,
                    "database_cpu_s": cpu[kind],
                }
                label = f"{kind}, {threads} threads"
                yield Figure("bookkeeping", label, "files/s", values, floors, more)
        ctx.begin.engine.dispose()


@dataclass
class _Desk:
    ctx: Context
    floor: Bare
    scratch: Path
    files: int
    number: int = 0

    @property
    def dataset(self) -> str:
        """Return the name of this run's dataset."""
        return files.DATASET.format(n=self.number)

    def injected(self) -> list[int]:
        """Register new files; return their transfers."""
        self.number += 1
        for start in range(0, self.files, 5000):
            some = files.fresh(min(5000, self.files - start), self.scratch, self.number)
            made = tuple(schemas.InjectedFile(**dict(file)) for file in some)
            wanted = schemas.Injection(dataset=self.dataset, site=SITE, files=made)
            injection_submission.file(self.ctx, wanted, _ALICE)
        return self._queued()

    def copied(self) -> list[int]:
        """Ask for what was injected at another site, and plan it; return the transfers."""
        closed = closure.file(self.ctx, schemas.Closure(dataset=self.dataset), _ALICE)
        closure.close(self.ctx, [closed])
        wanted = schemas.Copy(dataset=self.dataset, site=SECOND, consolidate=False)
        planner.plan(self.ctx, [copies_submission.file(self.ctx, wanted, _ALICE)])
        return self._queued()

    def work(self, threads: int, ids: Sequence[int]) -> float:
        """Take transfers through their states; return how many a second."""
        assert len(ids) == self.files
        batches = [ids[start : start + _BATCH] for start in range(0, len(ids), _BATCH)]
        began = time.perf_counter()
        with ThreadPoolExecutor(threads) as pool:
            done = sum(pool.map(self._batch, batches))
        assert done == self.files
        return self.files / (time.perf_counter() - began)

    def check(self) -> None:
        """See that every block is complete at both sites."""
        mine = select(Dataset.id).where(Dataset.name == self.dataset).scalar_subquery()
        replicas = select(BlockReplica.complete).where(BlockReplica.dataset_id == mine)
        blocks = select(func.count()).select_from(Block).where(Block.dataset_id == mine)
        with self.ctx.begin.reading() as work:
            assert work.scalars(replicas) == [True] * 2 * work.scalar(blocks)

    def bare(self) -> float:
        """Write the same changes with the driver alone."""
        for bulk in self.floor.bulks(1, self.files):
            self.floor.seconds([bulk])
        cursor = self.floor.connection.cursor()
        cursor.execute("SELECT id, file_id FROM transfers WHERE state = 'queued' ORDER BY id")
        rows = cursor.fetchall()
        began = time.perf_counter()
        for start in range(0, len(rows), _BATCH):
            batch = rows[start : start + _BATCH]
            keys = ", ".join(str(row[0]) for row in batch)
            for state in ("active", "done"):
                cursor.execute("BEGIN")
                cursor.execute(f"UPDATE transfers SET state = '{state}' WHERE id IN ({keys})")
                if state == "done":
                    present = [(1, row[1]) for row in batch]
                    cursor.executemany("INSERT INTO replica_files VALUES (%s, %s)", present)
                cursor.execute("COMMIT")
        return len(rows) / (time.perf_counter() - began)

    def _queued(self) -> list[int]:
        with self.ctx.begin.reading() as work:
            return work.scalars(select(Transfer.id).where(Transfer.state == "queued"))

    def _batch(self, ids: Sequence[int]) -> int:
        holder = new_holder(self.ctx.settings.lease)
        with self.ctx.begin() as work:
            (way,) = streams.by_link(work, ids)
        assert throttler.enter(self.ctx, way, ids, holder).granted
        with self.ctx.begin() as work:
            free = claims.claim(work, Transfer, ids, holder)
            claimed = transfers.load(work, free)
        arrived = [Arrived(one, one.size or 0, one.adler32 or "", 0.01) for one in claimed]
        known = Experience(way)
        for one in arrived:
            known.arrived(one.size, one.seconds)
        done = finisher.record(self.ctx, holder, arrived)
        throttler.leave(self.ctx, known, holder, {one.request_id for one in claimed})
        return done
