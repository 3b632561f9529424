"""Units of work.

A unit of work is one transaction, with its time, and with hints to send after the commit.
"""

import functools
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime
from typing import Any, ParamSpec, TypeVar, TypeVarTuple

from sqlalchemy import (
    Connection,
    CursorResult,
    Engine,
    Executable,
    Select,
    Transaction,
    text,
)
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from dynamo.db.engine.sqlite_turns import NoTurn
from dynamo.db.engine.typed_rows import Reader, Values
from dynamo.db.tables import Base
from dynamo.errors import Unavailable
from dynamo.logs import logger
from dynamo.operations.hints import Hint, Publish
from dynamo.points import Point, reached
from dynamo.tasks import check_known

P = ParamSpec("P")
R = TypeVar("R")
Ts = TypeVarTuple("Ts")

Clock = Callable[[Connection], datetime]

log = logger("db")

TRIES = 12
_RETRIED = {1213, 1205, 1020, 2006, 2013}
"""Deadlock, lock wait, changed row, server gone, connection lost: the unit runs again."""
_AWAY = {1040, 1045, 1053, 1129, 1130, 1203, 1927, 2002, 2003, 2006, 2013, 2055, 3118, 4151}
"""Too many connections, shutting down, refused, unreachable, lost, account closed for a while."""
_AWAY_TEXTS = ("unable to open database", "disk I/O error", "database or disk is full")


class Again(Exception):
    """A parallel transaction was faster: roll back and run the unit of work again."""


class Work(Reader):
    """One transaction.

    It runs statements, has one time, and collects hints to send after the commit.
    """

    def __init__(self, connection: Connection, clock: Clock) -> None:
        super().__init__(connection)
        self.hints: list[Hint] = []
        self._clock = clock
        self._now: datetime | None = None

    @property
    def now(self) -> datetime:
        """Return the time of this unit of work, by the database's clock."""
        if self._now is None:
            self._now = self._clock(self.connection)
        return self._now

    @property
    def is_mysql(self) -> bool:
        """Return whether the database is MySQL or MariaDB; else it is SQLite."""
        return self.connection.dialect.name == "mysql"

    def execute(
        self, statement: Executable, rows: Sequence[Mapping[str, object]] | Values = None
    ) -> CursorResult[*tuple[Any, ...]]:
        """Run a statement."""
        return self.connection.execute(statement, rows)

    def insert(self, table: type[Base], rows: Sequence[Mapping[str, object]]) -> None:
        """Insert many rows in as few statements as the driver can."""
        if rows:
            self.connection.execute(table.__table__.insert(), list(rows))  # type: ignore[attr-defined]

    def add(self, table: type[Base], **values: object) -> int:
        """Insert one row and return its key; 0 if the key is not a number."""
        result = self.connection.execute(table.__table__.insert(), values)  # type: ignore[attr-defined]
        key = result.inserted_primary_key
        return key[0] if key is not None and isinstance(key[0], int) else 0

    def changed(self, statement: Executable, values: Values = None) -> int:
        """Run an UPDATE or DELETE and return the number of matched rows."""
        return int(self.connection.execute(statement, values).rowcount)

    def skip_locked(self, statement: "Select[*Ts]") -> "Select[*Ts]":
        """Return the statement that locks the selected rows and skips rows locked by others.

        SQLite has one writer, so the statement stays unchanged.
        """
        return statement.with_for_update(skip_locked=True) if self.is_mysql else statement

    def hint(self, *hints: Hint) -> None:
        """Send hints after the commit. Raises LookupError for an unknown task."""
        for hint in hints:
            check_known(hint.task)
        self.hints += hints


def database_clock(connection: Connection) -> datetime:
    """Return the database's time, so that a machine's wrong clock changes nothing."""
    if connection.dialect.name == "mysql":
        moment = connection.exec_driver_sql("SELECT UTC_TIMESTAMP(6)").scalar_one()
        assert isinstance(moment, datetime)  # noqa: S101 - the driver's promise, for the type checker
        return moment.replace(tzinfo=UTC)
    stamp = connection.execute(text("SELECT strftime('%Y-%m-%d %H:%M:%f', 'now')")).scalar_one()
    return datetime.fromisoformat(stamp).replace(tzinfo=UTC)


def no_publisher(hints: Sequence[Hint]) -> None:
    """Send nothing: the sweep finds the work."""


class UnitOfWork:
    """Begins units of work: `with begin() as work:` commits at the end, then sends hints."""

    def __init__(
        self, engine: Engine, publish: Publish = no_publisher, clock: Clock = database_clock
    ) -> None:
        self.engine = engine
        self._publish = publish
        self._clock = clock

    @contextmanager
    def __call__(self) -> Iterator[Work]:
        """Begin a unit that writes: READ COMMITTED; on SQLite the single writer, in its turn."""
        with self._turn(), self.engine.connect() as connection:
            work = Work(connection, self._clock)
            with connection.begin() as transaction:
                yield work
                _commit(connection, transaction)
        if work.hints:
            reached(Point.COMMITTED)
            self._publish(work.hints)

    def _turn(self) -> AbstractContextManager[None]:
        turns = self.engine.get_execution_options().get("turns")
        return turns.turn() if turns is not None else nullcontext()

    @contextmanager
    def reading(self) -> Iterator[Work]:
        """Begin a unit that only reads; on SQLite it does not queue with writers."""
        with (
            self.engine.connect().execution_options(reading=True) as connection,
            connection.begin(),
        ):
            yield Work(connection, self._clock)

    @contextmanager
    def snapshot(self) -> Iterator[Work]:
        """Begin a unit that reads one consistent state of the inventory."""
        options = {"reading": True}
        if self.engine.dialect.name == "mysql":
            options = {"reading": True, "isolation_level": "REPEATABLE READ"}  # type: ignore[dict-item]
        with self.engine.connect().execution_options(**options) as connection, connection.begin():
            if self.engine.dialect.name == "mysql":
                connection.execute(text("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"))
            yield Work(connection, self._clock)


def _commit(connection: Connection, transaction: Transaction) -> None:
    """Commit.

    SQLAlchemy does not roll back after a failed commit: the next unit of work on this connection
    would commit the open changes.
    """
    try:
        transaction.commit()
    except DBAPIError:
        connection.invalidate()
        raise


def _code(error: DBAPIError) -> int | None:
    arguments = getattr(error.orig, "args", ())
    return arguments[0] if arguments and isinstance(arguments[0], int) else None


def _is_away(error: Exception) -> bool:
    """Return whether the database cannot be reached.

    Errors in statements are not among these.
    """
    if isinstance(error, PoolTimeout):
        return True
    return isinstance(error, DBAPIError) and (
        _code(error) in _AWAY or any(text in str(error.orig) for text in _AWAY_TEXTS)
    )


def _transient(error: Exception) -> bool:
    """Return whether running the whole unit again can help."""
    if isinstance(error, (Again, NoTurn)):
        return True
    if isinstance(error, IntegrityError):
        # a unique key shows a faster parallel transaction: the next run sees its row
        return _code(error) == 1062 or "UNIQUE constraint failed" in str(error.orig)
    if not isinstance(error, DBAPIError):
        return False
    return _code(error) in _RETRIED or "database is locked" in str(error.orig)


def passes(error: Exception) -> bool:
    """Return whether the same call may succeed later: the database was unavailable or busy."""
    return _is_away(error) or _transient(error)


def retried(function: Callable[P, R]) -> Callable[P, R]:
    """Run a function with one unit of work again after transient errors of the database.

    The number of runs is limited.
    """

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        for attempt in range(1, TRIES + 1):
            try:
                return function(*args, **kwargs)
            except (Again, NoTurn, DBAPIError, PoolTimeout) as error:
                if not _transient(error):
                    if _is_away(error):
                        raise Unavailable(
                            "the database is unavailable; repeat the call later"
                        ) from error
                    raise
                log.info(
                    "unit of work again",
                    function=function.__qualname__,
                    attempt=attempt,
                    error=str(error)[:200],
                )
                time.sleep(random.random() * min(0.02 * 2**attempt, 1.0))
        raise Unavailable("the database is busy; repeat the call later")

    return run
