"""What is measured runs on: a MariaDB as production has it, a Redis, one API process, a site."""

import os
import signal
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import select

from dynamo import tokens
from dynamo.db import schema
from dynamo.db.catalogue import users
from dynamo.db.engine.connection import connect
from dynamo.db.engine.unit_of_work import UnitOfWork, Work
from dynamo.db.tables import Partition, Quota, Site
from dynamo.running.process import spawn, stop
from dynamo.services.context import Context
from dynamo.settings import Settings
from dynamo.storage.registry import Storages
from tests.bench.calling import Caller
from tests.bench.machine import Meter
from tests.servers import MariaDB, free_port, mariadb, redis_server, template
from tests.systems import family

DURABLE = (
    "--innodb-flush-log-at-trx-commit=1",
    "--innodb-doublewrite=1",
    "--innodb-buffer-pool-size=1G",
    "--innodb-log-file-size=512M",
)
"""Every commit is on the disk when it returns; memory as a small server has it."""

SITE, SECOND = "T2_US_MIT", "T2_DE_DESY"
_CACHE = Path(__file__).parents[2] / ".cache" / "bench"
_ONE = "from dynamo.running import api_server; api_server.PROCESSES = 1; api_server.main()"
"""The program that `dynamo up` starts, with one process."""


@contextmanager
def production_mariadb(folder: Path) -> Iterator[MariaDB]:
    """Run a MariaDB that keeps what it has committed."""

    def cache(name: str) -> Path:
        found = _CACHE / name
        found.mkdir(parents=True, exist_ok=True)
        return found

    folder.mkdir(parents=True)
    with mariadb(folder, template(cache), DURABLE) as server:
        yield server


@dataclass(frozen=True)
class Stack:
    """An API of one process on an inventory; no worker takes what it registers."""

    ctx: Context
    caller: Caller
    scratch: Path
    processes: Mapping[str, set[int]]

    def meter(self) -> Meter:
        """Begin to measure what API and database use."""
        return Meter(self.processes)


@contextmanager
def stack(folder: Path, server: MariaDB | None) -> Iterator[Stack]:
    """Run an API on a new database of a MariaDB, or on SQLite."""
    folder.mkdir(parents=True)
    settings = Settings(data=folder / "data")
    url = settings.database_url if server is None else server.create("dynamo_bench")
    settings.data.mkdir()
    (folder / "redis").mkdir()
    ctx = fresh(url, settings, folder)
    with redis_server(folder / "redis") as broker:
        env = {"DYNAMO_DATA": str(settings.data), "DYNAMO_BROKER_URL": broker.url}
        port = free_port()
        command = [sys.executable, "-c", _ONE, str(port)]
        log = folder / "api.log"
        process = spawn(command, log, {**os.environ, **env, "DYNAMO_DATABASE_URL": url})
        address = f"http://127.0.0.1:{port}"
        try:
            _wait(address, log)
            token = tokens.issue(settings, "alice", ["user"], datetime.now(UTC))
            pids = {"api": {process.pid} | family(process.pid)}
            if server is not None:
                pids["database"] = {server.process.pid}
            yield Stack(ctx, Caller(address, token), folder / "scratch", pids)
        finally:
            stop(process, signal.SIGTERM, 10)
            ctx.begin.engine.dispose()


def fresh(url: str, settings: Settings, folder: Path) -> Context:
    """Make the schema, and one site with a scratch folder and no limits."""
    engine = connect(url)
    schema.upgrade(engine)
    begin = UnitOfWork(engine)
    with begin() as work:
        schema.seed(work)
        register_site(work, SITE, folder)
        users.register(work, "alice", None)
    return Context(begin, settings, Storages(settings.injection.area))


def register_site(work: Work, name: str, folder: Path) -> None:
    """Add a site with a scratch folder and no limits."""
    key = work.add(
        Site,
        name=name,
        kind="disk",
        status="ready",
        url=f"file://{folder / name}",
        rules={},
        scratch=[str(folder / "scratch")],
        sources=[],
        created=work.now,
    )
    partition = work.scalar(select(Partition.id).where(Partition.name == "User"))
    quota = {"site_id": key, "partition_id": partition, "projected": 0, "used": 0}
    work.add(Quota, max_bytes=10**17, **quota)


def _wait(address: str, log: Path) -> None:
    end = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(f"{address}/v1/health", timeout=5):
                return
        except (urllib.error.URLError, OSError) as error:
            if time.monotonic() > end:
                raise RuntimeError(log.read_text()[-2000:]) from error
            time.sleep(0.05)
