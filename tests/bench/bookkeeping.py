"""What is written about transfers: claimed, recorded, block complete, without moving a byte.

A worker's own units of work are called with arrivals that nobody checked: a stream begins, a batch
is claimed and recorded, the stream ends, as `carry` calls them before and after storages.
"""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select

from dynamo.db import claims, streams, transfers
from dynamo.db.tables import Transfer
from dynamo.inventory import asked
from dynamo.inventory.callers import Caller
from dynamo.inventory.states import Role
from dynamo.services import injection, outcomes, traffic
from dynamo.services.leases import new_holder
from dynamo.services.outcomes import Arrived
from dynamo.services.tools import Tools
from dynamo.services.traffic import Experience
from dynamo.settings import Settings
from tests.bench import files
from tests.bench.bare import Bare, bare
from tests.bench.figures import Figure
from tests.bench.machine import Meter
from tests.bench.scale import Scale
from tests.bench.stack import SITE, fresh, production_mariadb

_BATCH = 100
_ALICE = Caller("alice", frozenset({Role.USER}))


def run(folder: Path, scale: Scale) -> Iterator[Figure]:
    """Measure on MariaDB, with one thread and with several."""
    settings = Settings(data=folder)
    with production_mariadb(folder / "mariadb") as server, bare(server, folder) as floor:
        use = fresh(server.create("dynamo_bench"), settings, folder)
        desk = _Desk(use, floor, folder / "scratch", scale.small_files)
        for threads in (1, 4):
            rates, floors = [], []
            meter = Meter({"database": {server.process.pid}})
            for _ in range(scale.runs):
                floors.append(desk.bare())
                rates.append(desk.work(threads))
            more = {
                "baseline_is": "two UPDATEs of the same rows and the INSERT of their presence",
                "files": desk.files,
                "database_cpu_s": meter.used()["database"],
            }
            yield Figure("bookkeeping", f"{threads} threads", "files/s", rates, floors, more)
        use.begin.engine.dispose()


@dataclass(frozen=True)
class _Desk:
    use: Tools
    floor: Bare
    scratch: Path
    files: int

    def work(self, threads: int) -> float:
        """Take new files through their states; return how many a second."""
        for start in range(0, self.files, 5000):
            some = files.fresh(min(5000, self.files - start), self.scratch)
            self._register([asked.InjectedFile(**dict(file)) for file in some])
        with self.use.begin.reading() as work:
            ids = work.scalars(select(Transfer.id).where(Transfer.state == "queued"))
        batches = [ids[start : start + _BATCH] for start in range(0, len(ids), _BATCH)]
        began = time.perf_counter()
        with ThreadPoolExecutor(threads) as pool:
            done = sum(pool.map(self._batch, batches))
        assert done == self.files
        return self.files / (time.perf_counter() - began)

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

    def _register(self, some: Sequence[asked.InjectedFile]) -> None:
        dataset = files.DATASET.format(n=1)
        wanted = asked.Injection(dataset=dataset, site=SITE, files=tuple(some))
        injection.file(self.use, wanted, _ALICE)

    def _batch(self, ids: Sequence[int]) -> int:
        holder = new_holder(self.use.settings.lease)
        with self.use.begin() as work:
            (way,) = streams.ways(work, ids)
        assert traffic.enter(self.use, way, ids, holder).granted
        with self.use.begin() as work:
            free = claims.claim(work, Transfer, ids, holder)
            claimed = transfers.load(work, free)
        arrived = [Arrived(one, one.size or 0, one.adler32 or "", 0.01) for one in claimed]
        known = Experience(way)
        for one in arrived:
            known.arrived(one.size, one.seconds)
        done = outcomes.record(self.use, holder, arrived)
        traffic.leave(self.use, known, holder, {one.request_id for one in claimed})
        return done
