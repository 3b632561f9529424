"""How the inventory is opened, with the settings that its invariants need."""

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
"""Seconds without a statement after which the server ends a unit of work: whoever
is frozen in the middle of one must not keep its locks. Waking up, he runs the unit again."""


_BUSY = 30
"""Seconds that a SQLite connection waits for others at most."""


def connect(url: str, pool: int = 20) -> Engine:
    """Open the inventory at a SQLAlchemy URL, with the settings that its invariants need."""
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
        pool_reset_on_return=None,  # every unit of work ends its transaction itself
        pool_recycle=1800,
        connect_args={
            "connect_timeout": 5,
            "read_timeout": 120,
            "write_timeout": 120,
            # MySQL does not know it, and takes what is set here for a comment
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
    """Turn the log on; SQLite itself does not wait for another process that turns it on now."""
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
    # a reader that turns into a writer fails at once, whatever the time-out: writers say so
    # at the start
    reading = connection.get_execution_options().get("reading")
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")
