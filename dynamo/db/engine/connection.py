"""Opens the inventory, with the connection settings that its invariants need."""

import random
import sqlite3
import time
from pathlib import Path

from sqlalchemy import (
    Connection,
    Engine,
    create_engine,
    event,
    make_url,
)

from dynamo.db.engine import driver
from dynamo.db.engine.sqlite_turns import Turns

_SILENCE = 60
"""Seconds without a statement after which the server ends a unit of work, so that a frozen process
does not keep its locks. When the process wakes up, it runs the unit again."""


_BUSY = 30
"""Limit of seconds that a SQLite connection waits for others."""


def connect(url: str, pool: int = 20) -> Engine:
    """Return the engine for the inventory at a SQLAlchemy URL."""
    if url.startswith("sqlite"):
        engine = create_engine(
            url,
            pool_size=pool,
            max_overflow=pool,
            pool_reset_on_return=None,
            connect_args={"check_same_thread": False, "timeout": _BUSY},
            execution_options={"turns": Turns(_file(url))},
        )
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    engine = create_engine(
        url,
        isolation_level="READ COMMITTED",
        pool_size=pool,
        max_overflow=pool,
        pool_reset_on_return=None,  # units of work end their transactions
        pool_recycle=1800,
        connect_args={
            "connect_timeout": 5,
            "read_timeout": 120,
            "write_timeout": 120,
            # unknown to MySQL, for which the setting is a comment
            "init_command": "SET SESSION wait_timeout = @@SESSION.wait_timeout"
            f" /*M!, SESSION idle_transaction_timeout = {_SILENCE} */",
        },
    )
    driver.drive(engine)
    return engine


def _file(url: str) -> Path | None:
    name = make_url(url).database
    return None if name in (None, "", ":memory:") else Path(str(name))


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None
    _write_ahead(connection)
    for pragma in ("synchronous=NORMAL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Turn on write-ahead logging; SQLite does not wait while another process turns it on."""
    end = time.monotonic() + _BUSY
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if "database is locked" not in str(error) or time.monotonic() > end:
                raise
        else:
            return
        time.sleep(random.random() * 0.02)


def _begin_sqlite(connection: Connection) -> None:
    # a reader that becomes a writer fails at once, whatever the time-out: so writers declare
    # themselves at the start
    reading = connection.get_execution_options().get("reading")
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")
