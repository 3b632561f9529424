"""A large file: copied by the library and by a worker, beside `cp` and Adler-32 of the same bytes.

All start alike: the source lies in the page cache, the destination does not exist, nothing that was
written before waits for the disk. Ours is on the disk when it ends, so one baseline syncs as well.
"""

import os
import subprocess
import time
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select

from dynamo.db.tables import Transfer
from dynamo.inventory import schemas
from dynamo.inventory.callers import Caller
from dynamo.inventory.states import Role
from dynamo.services.context import Context
from dynamo.services.injection import submission as injection_submission
from dynamo.services.transfers import executor as transfer_executor
from dynamo.settings import Settings
from dynamo.storage import copier, temporary_names
from dynamo.storage.protocol import Expected
from dynamo.storage.sources import open_source
from tests.bench.figures import Figure
from tests.bench.scale import Scale
from tests.bench.stack import SITE, fresh

_CHUNK = 4 * 2**20
_ALICE = Caller("alice", frozenset({Role.USER}))


def run(folder: Path, scale: Scale) -> Iterator[Figure]:
    """Measure on the disk of the temporary directory."""
    (folder / "scratch").mkdir()
    source = folder / "scratch" / "large"
    _make(source, scale.large_bytes)
    settings = Settings(data=folder)
    hall = _Hall(folder, source, _sum(source), fresh(settings.database_url, settings, folder))
    ways: dict[str, Callable[[int], float]] = {
        "cp": hall.plain,
        "cp, sync": hall.synced,
        "library": hall.library,
        "worker": hall.worker,
    }
    rates: dict[str, list[float]] = defaultdict(list)
    for number in range(scale.runs):
        for name, way in ways.items():
            _sum(source)  # into the page cache
            os.sync()
            rates[name].append(scale.large_bytes / 1e6 / way(number))
    for name in ("library", "worker"):
        for floor in ("cp", "cp, sync"):
            more = {"baseline_is": f"{floor} and Adler-32", "bytes": scale.large_bytes}
            label = f"{name} beside {floor}"
            yield Figure("copying", label, "MB/s", rates[name], rates[floor], more)


@dataclass(frozen=True)
class _Hall:
    folder: Path
    source: Path
    adler32: str
    ctx: Context

    def plain(self, number: int) -> float:
        return self._copied(number, lambda: None)

    def synced(self, number: int) -> float:
        def sync() -> None:
            with (self.folder / f"cp-{number}").open("rb") as copied:
                os.fsync(copied.fileno())

        return self._copied(number, sync)

    def _copied(self, number: int, end: Callable[[], None]) -> float:
        target = self.folder / f"cp-{number}"
        began = time.perf_counter()
        subprocess.run(["cp", self.source, target], check=True)
        assert _sum(target) == self.adler32
        end()
        seconds = time.perf_counter() - began
        target.unlink()
        return seconds

    def library(self, number: int) -> float:
        destination = self.ctx.storages.at(f"file://{self.folder / SITE}", {})
        source = open_source(f"file://{self.source}", (str(self.folder / "scratch"),), ())
        lfn, own = f"/store/library{number}", temporary_names.own("/store/temp/dynamo", number, 1)
        expected = Expected(self.source.stat().st_size, self.adler32)
        (self.folder / SITE).mkdir(exist_ok=True)
        began = time.perf_counter()
        copier.copy(source, destination, own, lfn, expected, lambda: None)
        seconds = time.perf_counter() - began
        destination.delete(lfn)
        return seconds

    def worker(self, number: int) -> float:
        """Let a worker claim, copy and record one transfer."""
        lfn = f"/store/user/dynamo/alice/large{number}"
        file = schemas.InjectedFile(
            lfn=lfn,
            size=self.source.stat().st_size,
            adler32=self.adler32,
            source=f"file://{self.source}",
        )
        wanted = schemas.Injection(dataset="/Large/alice-v1/USER", site=SITE, files=(file,))
        injection_submission.file(self.ctx, wanted, _ALICE)
        with self.ctx.begin.reading() as work:
            ids = work.scalars(select(Transfer.id).where(Transfer.state == "queued"))
        began = time.perf_counter()
        assert transfer_executor.carry(self.ctx, ids) == 1
        seconds = time.perf_counter() - began
        (self.folder / SITE / lfn.lstrip("/")).unlink()
        return seconds


def _make(path: Path, size: int) -> None:
    chunk = os.urandom(min(_CHUNK, size))
    with path.open("wb") as file:
        while file.tell() < size:
            file.write(chunk[: size - file.tell()])


def _sum(path: Path) -> str:
    value, buffer = 1, memoryview(bytearray(_CHUNK))
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(buffer):
            value = zlib.adler32(buffer[:count], value)
    return f"{value:08x}"
