"""The schema of a database: upgrade, version, and the content of a fresh system."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import ColumnElement, Connection, Engine, select, text

from dynamo.db.engine.unit_of_work import Work
from dynamo.db.policies import versions as policy_versions
from dynamo.db.tables import Group, Partition, Policy
from dynamo.errors import Unavailable
from dynamo.inventory.callers import SYSTEM
from dynamo.policy import defaults

MIGRATIONS = Path(__file__).parent / "migrations"
LOCK = "dynamo-schema"
LOCK_SECONDS = 120

GROUPS = {"analysis": "dataset", "production": "block"}
"""Groups of a fresh system and the level at which they own data."""


def alembic(connection: Connection) -> Config:
    """Return the configuration of Alembic; there is no `alembic.ini`."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def upgrade(engine: Engine) -> None:
    """Upgrade the schema; safe to repeat, and in two processes at once."""
    with _alone(engine) as connection:
        command.upgrade(alembic(connection), "head")


def current(engine: Engine) -> str | None:
    """Return the version of the schema; None for an empty database."""
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def seed(work: Work) -> None:
    """Add groups, partitions and policies of a fresh system; existing ones stay unchanged."""
    groups = set(work.scalars(select(Group.name)))
    work.insert(
        Group,
        [{"name": name, "level": level} for name, level in GROUPS.items() if name not in groups],
    )
    fresh = defaults.partitions()
    partitions = set(work.scalars(select(Partition.name)))
    work.insert(
        Partition,
        [{"name": one.name, "definition": one.text} for one in fresh if one.name not in partitions],
    )
    without = (Partition.name.in_([one.name for one in fresh]), ~_governed())
    for key, name in work.rows(select(Partition.id, Partition.name).where(*without)):
        policy_versions.add(work, key, defaults.policy(name), SYSTEM)


def _governed() -> ColumnElement[bool]:
    """Return the condition for partitions with a policy."""
    return select(Policy.id).where(Policy.partition_id == Partition.id).exists()


@contextmanager
def _alone(engine: Engine) -> Iterator[Connection]:
    """Connect and keep other processes from changing the schema meanwhile."""
    with engine.connect() as connection:
        if connection.dialect.name == "mysql":
            with _named_lock(connection):
                yield connection
        else:
            with _without_foreign_keys(connection), connection.begin():  # SQLite has one writer
                yield connection


@contextmanager
def _named_lock(connection: Connection) -> Iterator[None]:
    """Hold a named lock of the MySQL session: schema changes commit, and would release others."""
    taken = connection.execute(
        text("SELECT GET_LOCK(:name, :seconds)"), {"name": LOCK, "seconds": LOCK_SECONDS}
    )
    if taken.scalar() != 1:
        raise Unavailable("another process is changing the schema; repeat the call later")
    connection.commit()
    try:
        yield
        connection.commit()
    finally:
        connection.rollback()
        connection.execute(text("SELECT RELEASE_LOCK(:name)"), {"name": LOCK})
        connection.commit()


@contextmanager
def _without_foreign_keys(connection: Connection) -> Iterator[None]:
    """Let SQLite replace a table that other tables refer to."""
    driver = connection.connection.driver_connection
    assert driver is not None  # noqa: S101 - the pool's promise, for the type checker
    driver.execute("PRAGMA foreign_keys=OFF")
    try:
        yield
    finally:
        driver.execute("PRAGMA foreign_keys=ON")
