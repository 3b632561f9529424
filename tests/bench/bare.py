"""The floor under registration: the same rows, by the same driver, inserted and nothing else."""

import hashlib
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pymysql

from dynamo.db.engine.connection import connect
from dynamo.db.engine.unit_of_work import UnitOfWork
from dynamo.db.tables import (
    Base,
    Block,
    BlockReplica,
    Dataset,
    File,
    Partition,
    Request,
    Site,
    Transfer,
    User,
)
from dynamo.db.tables.types import Utc
from tests.bench import files
from tests.servers import MariaDB

_NOW = datetime(2026, 11, 22, 12)  # noqa: DTZ001 - as the driver takes it
_PARENTS = (User, Site, Partition, Dataset, Block, Request, BlockReplica)
"""What the rows refer to: foreign keys are checked here as there. One row of each, its key 1."""

_ANY: dict[type, Any] = {int: 1, bool: True, str: "x", object: {}}

_WORDS: dict[tuple[type[Base], str], str] = {
    (Site, "kind"): "disk",
    (Site, "status"): "ready",
    (Dataset, "status"): "valid",
    (Request, "kind"): "injection",
    (Request, "origin"): "caller",
    (Request, "state"): "running",
    (BlockReplica, "state"): "valid",
}
"""Columns that take only words of a closed list."""

Rows = list[tuple[Any, ...]]


@dataclass
class Bare:
    """A database with our tables, and a connection of the driver."""

    connection: Any
    mark: str
    _next: int = field(default=1)

    def seconds(self, bulks: Sequence[tuple[Rows, Rows]]) -> float:
        """Insert, one transaction a bulk, one statement a table; return how long it took."""
        cursor = self.connection.cursor()
        if self.mark == "%s":
            cursor.max_stmt_length = 16 * 2**20
        into_files, into_transfers = self._statement(File), self._statement(Transfer)
        began = time.perf_counter()
        for registered, transfers in bulks:
            cursor.execute("BEGIN")
            cursor.executemany(into_files, registered)
            cursor.executemany(into_transfers, transfers)
            cursor.execute("COMMIT")
        return time.perf_counter() - began

    def bulks(self, n: int, size: int) -> list[tuple[Rows, Rows]]:
        """Make the rows of so many bulks."""
        return [self._bulk(size) for _ in range(n)]

    def _bulk(self, size: int) -> tuple[Rows, Rows]:
        registered, transfers = [], []
        for file in files.fresh(size, "/scratch"):
            lfn, key = file["lfn"], self._next
            self._next += 1
            digest = hashlib.blake2b(lfn.encode(), digest_size=16).digest()
            told = (lfn, digest, file["size"], file["adler32"], _NOW, _NOW)
            registered.append((key, 1, 1, *told))
            common = ("pull", 1, key, 1, 1, file["source"], True)
            state = ("queued", 0, 0, _NOW, _NOW, 0, _NOW, _NOW)
            transfers.append(common + state)
        return registered, transfers

    def _statement(self, table: type[Base]) -> str:
        names = _COLUMNS[table].split()
        values = ", ".join([self.mark] * len(names))
        return f"INSERT INTO {table.__tablename__} ({', '.join(names)}) VALUES ({values})"


_COLUMNS: dict[type[Base], str] = {
    File: "id dataset_id block_id lfn lfn_hash size adler32 created added",
    Transfer: "kind request_id file_id site_id replica_id source_url confirmed"
    " state attempts lost not_before hinted lease_no created updated",
}


@contextmanager
def bare(server: MariaDB | None, folder: Path) -> Iterator[Bare]:
    """Make the tables in a database of their own."""
    url = f"sqlite:///{folder / 'bare.db'}" if server is None else server.create("dynamo_bare")
    engine = connect(url)
    Base.metadata.create_all(engine)
    with UnitOfWork(engine)() as work:
        for table in _PARENTS:
            columns = [column for column in table.__table__.c if not column.nullable]
            row = {one.name: _WORDS.get((table, one.name), _any(one.type)) for one in columns}
            work.insert(table, [row])
    engine.dispose()
    if server is None:
        connection: Any = sqlite3.connect(folder / "bare.db", isolation_level=None)
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")
        yield Bare(connection, "?")
    else:
        connection = pymysql.connect(
            host="127.0.0.1",
            port=server.port,
            user="dynamo",
            password="dynamo",
            database="dynamo_bare",
            autocommit=True,
        )
        with connection.cursor() as cursor:
            cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
        yield Bare(connection, "%s")
    connection.close()


def _any(kind: Any) -> Any:
    return _NOW if isinstance(kind, Utc) else _ANY[kind.python_type]
