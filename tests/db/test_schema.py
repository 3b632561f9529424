"""What migrations build: on both databases what the tables say, and harmless a second time."""

import json
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import (
    Column,
    Connection,
    Engine,
    MetaData,
    Table,
    column,
    func,
    inspect,
    select,
    table,
    text,
)
from sqlalchemy.exc import DBAPIError, IntegrityError

from dynamo.db import requests, schema
from dynamo.db.engine.connection import connect
from dynamo.db.engine.unit_of_work import UnitOfWork
from dynamo.db.policies import versions as policy_versions
from dynamo.db.policies.popularity import PRODUCED
from dynamo.db.tables import Base, Decision, Group, Partition, Policy, Site, ToldStatus
from dynamo.errors import Conflict
from dynamo.inventory.request_bodies import (
    ClosureBody,
    CopyBody,
    DeletionBody,
    InjectionBody,
    SystemCopyBody,
    SystemDeletionBody,
)
from dynamo.policy import defaults
from dynamo.policy.lint import check_policy
from dynamo.policy.reader import Known

_REFUSING = import_module("dynamo.db.migrations.versions.0013_refuse_words_that_are_no_states")
BEFORE_WORDS: str = _REFUSING.down_revision
WORDS: dict[str, dict[str, tuple[str, ...]]] = _REFUSING.WORDS


@pytest.fixture(params=["sqlite", "mariadb"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """A database without tables."""
    on_mariadb = request.param == "mariadb"
    url = request.getfixturevalue("mariadb_url") if on_mariadb else f"sqlite:///{tmp_path / 'a.db'}"
    engine = connect(url)
    yield engine
    engine.dispose()


@pytest.fixture(scope="module", params=["sqlite", "mariadb"])
def upgraded(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    """A database with one row in each table, for tests that take back what they do."""
    if request.param == "mariadb":
        url = request.getfixturevalue("mariadb_server").create("dynamo_upgraded")
    else:
        url = f"sqlite:///{tmp_path_factory.mktemp('upgraded') / 'a.db'}"
    engine = connect(url)
    schema.upgrade(engine)
    with engine.connect() as connection:
        fill(connection)
        connection.commit()
    yield engine
    engine.dispose()


def test_migrations_build_what_the_tables_say(empty: Engine) -> None:
    schema.upgrade(empty)

    with empty.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def constraints(engine: Engine) -> dict[str, Any]:
    """Return, by table, all that a database holds rows to."""
    look = inspect(engine)
    asked = (
        look.get_multi_pk_constraint,
        look.get_multi_unique_constraints,
        look.get_multi_check_constraints,
        look.get_multi_foreign_keys,
        look.get_multi_indexes,
    )
    return {
        table: [sorted(kind[None, table], key=str) for kind in (ask() for ask in asked)]
        for table in Base.metadata.tables
    }


def test_migrations_build_the_constraints_of_the_tables(empty: Engine) -> None:
    Base.metadata.create_all(empty)
    of_the_tables = constraints(empty)
    Base.metadata.drop_all(empty)

    schema.upgrade(empty)

    assert constraints(empty) == of_the_tables


def test_an_empty_database_has_no_version_and_an_upgraded_one_has_the_newest(empty: Engine) -> None:
    assert schema.current(empty) is None
    schema.upgrade(empty)
    newest = max(path.name[:4] for path in (schema.MIGRATIONS / "versions").glob("0*.py"))
    assert schema.current(empty) == newest


def test_upgrading_twice_keeps_what_is_there(empty: Engine) -> None:
    begin = UnitOfWork(empty)
    for _ in range(2):
        schema.upgrade(empty)
        with begin() as work:
            schema.seed(work)
    with begin.reading() as work:
        assert set(work.scalars(select(Group.name))) == {"analysis", "production"}
        assert sorted(work.scalars(select(Partition.name))) == [
            "Analysis",
            "Official",
            "Production",
            "User",
        ]
        assert work.scalars(select(Policy.version)) == [1, 1, 1, 1]


def test_two_processes_that_upgrade_at_once_do_not_disturb_each_other(empty: Engine) -> None:
    url = empty.url.render_as_string(hide_password=False)
    engines = [connect(url) for _ in range(2)]
    with ThreadPoolExecutor() as both:
        list(both.map(schema.upgrade, engines))
    for engine in engines:
        engine.dispose()

    with empty.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(Site.__table__)) == 0


def test_a_partition_that_an_operator_redefined_is_left_alone(inventory: UnitOfWork) -> None:
    with inventory() as work:
        work.add(Partition, name="User", definition="always")
        schema.seed(work)
    with inventory.reading() as work:
        assert work.scalar(select(Partition.definition).where(Partition.name == "User")) == "always"


def test_a_process_that_starts_while_another_makes_the_database_waits_for_it(
    tmp_path: Path,
) -> None:
    """SQLite's own patience does not hold for turning the log on: it is refused at once."""
    maker = sqlite3.connect(tmp_path / "a.db", isolation_level=None, check_same_thread=False)
    maker.execute("BEGIN IMMEDIATE")
    maker.execute("CREATE TABLE made (id INTEGER)")
    after_a_while = threading.Timer(0.3, maker.execute, ["COMMIT"])
    after_a_while.start()
    engine = connect(f"sqlite:///{tmp_path / 'a.db'}")
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM made")).scalar_one() == 0
        assert connection.execute(text("PRAGMA journal_mode")).scalar_one() == "wal"
    after_a_while.join()
    engine.dispose()
    maker.close()


def test_a_policy_that_an_operator_put_in_force_is_left_alone(inventory: UnitOfWork) -> None:
    with inventory() as work:
        schema.seed(work)
        key = work.scalar(select(Partition.id).where(Partition.name == "User"))
        policy_versions.add(work, key, "another text", "op")
    with inventory() as work:
        schema.seed(work)
        assert policy_versions.in_force(work, "User").text == "another text"


def test_the_first_policies_can_be_read_and_are_warned_of_nothing() -> None:
    names = [one.name for one in defaults.partitions()]
    for name in names:
        known = Known(names, PRODUCED)
        assert check_policy(defaults.policy(name), name, known=known).problems == ()


def test_an_older_system_gets_its_policies(empty: Engine) -> None:
    with empty.connect() as connection:
        command.upgrade(schema.alembic(connection), "0001")
        connection.commit()
        definition = "INSERT INTO partitions (name, definition) VALUES ('Tape', 'always')"
        connection.exec_driver_sql(definition)
        connection.commit()
    schema.upgrade(empty)
    with UnitOfWork(empty)() as work:
        schema.seed(work)
        allowed = work.scalars(select(Partition.allow_last_copy))
    assert allowed == [False] * 5


def test_sites_that_a_feed_had_put_aside_stay_so_until_feeds_are_read_anew(empty: Engine) -> None:
    """Which feed it was nobody had kept, so that each may have been it."""
    at = "'2026-11-01 00:00:00'"
    with empty.connect() as connection:
        command.upgrade(schema.alembic(connection), "0009")
        columns = "name, kind, status, url, rules, scratch, sources, created, since, set_by"
        for name, status, by in [("T2_A", "waitroom", "feed"), ("T2_B", "waitroom", "probes")]:
            values = f"'{name}', 'disk', '{status}', '', '{{}}', '[]', '[]', {at}, {at}, '{by}'"
            connection.exec_driver_sql(f"INSERT INTO sites ({columns}) VALUES ({values})")
        connection.exec_driver_sql(f"INSERT INTO feeds (name, tried) VALUES ('ssb', {at})")
        connection.commit()

    schema.upgrade(empty)

    with UnitOfWork(empty).reading() as work:
        told = work.rows(select(Site.name, ToldStatus.source, ToldStatus.status).join(ToldStatus))
    assert told == [("T2_A", "ssb", "waitroom")]


OLD_BODIES = {
    "copy": {
        "caller": {"sites": ["T2_A"], "copies": None, "consolidate": True, "spread": False},
        "cycle": {"sites": [], "consolidate": False, "cycle": 7},
        "evacuation": {"sites": [], "consolidate": False, "cycle": 0, "evacuation": "T2_A"},
        "rescue": {"sites": [], "consolidate": False, "cycle": 0, "rescue": 5},
        "repair": {"sites": [], "cycle": 0, "mends": "/store/a", "site": "T2_A"},
    },
    "deletion": {
        "caller": {"site": "T2_A", "blocks": None, "lay": ["x"], "files": None, "last_copy": False},
        "cycle": {"site": None, "blocks": [], "files": None, "whole": False, "cycle": 8},
        "evacuation": {"site": None, "blocks": [], "files": None, "evacuation": "T2_B"},
    },
    "injection": {"caller": {"known": [1, 2], "pending": [2]}},
    "closure": {"caller": {}},
}
"""What requests asked before their origin was kept, by kind and origin."""
BODIES = {
    ("copy", "caller"): CopyBody(sites=("T2_A",), consolidate=True),
    ("copy", "cycle"): SystemCopyBody(cycle_id=7),
    ("copy", "evacuation"): SystemCopyBody(site="T2_A"),
    ("copy", "rescue"): SystemCopyBody(deletion_id=5),
    ("copy", "repair"): SystemCopyBody(lfn="/store/a", site="T2_A"),
    ("deletion", "caller"): DeletionBody(site="T2_A", lay=("x",)),
    ("deletion", "cycle"): SystemDeletionBody(cycle_id=8),
    ("deletion", "evacuation"): SystemDeletionBody(site="T2_B"),
    ("injection", "caller"): InjectionBody(known=(1, 2), pending=(2,)),
    ("closure", "caller"): ClosureBody(),
}


def test_requests_of_an_older_system_tell_where_they_come_from(empty: Engine) -> None:
    at = "2026-11-01 00:00:00"
    head = {"id": 1, "owner_id": 1, "dataset": "", "state": "running", "trace": "", "n_files": 3}
    rest = {"n_done": 1, "n_failed": 0, "bytes": 9, "bytes_done": 3, "created": at, "updated": at}
    requests_then = table("requests", *map(column, [*head, *rest, "kind", "body"]))
    with empty.connect() as connection:
        command.upgrade(schema.alembic(connection), "0010")
        connection.exec_driver_sql(
            "INSERT INTO users (id, name, roles, used, n_files, created)"
            f" VALUES (1, 'alice', '[]', 0, 0, '{at}')"
        )
        for kind, bodies in OLD_BODIES.items():
            for body in bodies.values():
                values = {**head, **rest, "kind": kind, "body": json.dumps(body)}
                connection.execute(requests_then.insert().values(values))
                head["id"] += 1
        connection.commit()

    schema.upgrade(empty)

    with UnitOfWork(empty).reading() as work:
        rows = [requests.of(row) for row in work.rows(requests.STORED)]
    assert {(row.kind, row.origin): row.body for row in rows} == BODIES
    assert {(row.state, row.n_files, row.bytes) for row in rows} == {("running", 3, 9)}


def test_decisions_of_an_older_system_tell_who_wanted_the_copy(empty: Engine) -> None:
    at = "'2026-11-01 00:00:00'"
    texts = {
        "detox": ["Protect dataset.name == /A/B/C: D"],
        "dealer": ["undertaker: no site that lacks it has room for it", "requests: copied"],
    }
    with empty.connect() as connection:
        command.upgrade(schema.alembic(connection), "0011")
        connection.exec_driver_sql(
            "INSERT INTO partitions (id, name, definition) VALUES (1, 'P', 'always')"
        )
        for cycle_id, (kind, said) in enumerate(texts.items(), 1):
            connection.exec_driver_sql(
                "INSERT INTO cycles (id, kind, partition_id, dry_run, state, seed, who, trace,"
                " created, lease_no, summary) VALUES"
                f" ({cycle_id}, '{kind}', 1, 0, 'done', 1, 'beat', '', {at}, 1, '{{}}')"
            )
            for position, sentence in enumerate(said):
                connection.exec_driver_sql(
                    "INSERT INTO decisions (cycle_id, position, site, dataset, action, line, text,"
                    f" n_files, bytes, facts) VALUES ({cycle_id}, {position}, 'T2_A', '/A/B/C',"
                    f" 'refuse', 0, '{sentence}', 1, 1, '{{}}')"
                )
        connection.commit()

    schema.upgrade(empty)

    with UnitOfWork(empty).reading() as work:
        told = work.rows(select(Decision.proposer, Decision.text).order_by(Decision.id))
    assert told == [
        (None, "Protect dataset.name == /A/B/C: D"),
        ("undertaker", "no site that lacks it has room for it"),
        ("requests", "copied"),
    ]


def reflected(connection: Connection) -> Sequence[Table]:
    """Return the tables as the database has them, first those that others refer to."""
    tables = MetaData()
    tables.reflect(connection)
    return [one for one in tables.sorted_tables if one.name != "alembic_version"]


def fill(connection: Connection) -> None:
    """Insert one row into each table of a database, whatever its version."""
    for one in reflected(connection):
        closed = {name: words[0] for name, words in WORDS.get(one.name, {}).items()}
        needed = [wanted for wanted in one.columns if wanted.server_default is None]
        row = {wanted.name: _anything(wanted) for wanted in needed}
        connection.execute(one.insert(), [row | closed])


def _anything(wanted: Column[Any]) -> Any:
    """Return what a column takes; all keys are 1, so that each row refers to those there are."""
    kinds = {int: 1, float: 1.0, str: "1", bytes: bytes(16), bool: True, object: {}}
    kinds |= {datetime: datetime(2026, 11, 1), date: date(2026, 11, 1), Decimal: 1}  # noqa: DTZ001
    return kinds[wanted.type.python_type]


def contents(connection: Connection) -> dict[str, Any]:
    return {
        one.name: [dict(row) for row in connection.execute(one.select()).mappings()]
        for one in reflected(connection)
    }


def test_rows_are_kept_when_the_database_begins_to_refuse_words(empty: Engine) -> None:
    with empty.connect() as connection:
        command.upgrade(schema.alembic(connection), BEFORE_WORDS)
        fill(connection)
        connection.commit()
        before = contents(connection)
        connection.rollback()

    schema.upgrade(empty)

    with empty.connect() as connection:
        after = contents(connection)
        assert {name: after[name] for name in before} == before
        assert all(before.values())


def test_a_row_with_a_word_that_was_never_written_stops_the_upgrade_before_it_begins(
    empty: Engine,
) -> None:
    with empty.connect() as connection:
        command.upgrade(schema.alembic(connection), BEFORE_WORDS)
        fill(connection)
        connection.exec_driver_sql("UPDATE transfers SET state = 'stuck'")
        connection.commit()

    with pytest.raises(Conflict, match=r"transfers\.state holds 'stuck', which Dynamo never wrote"):
        schema.upgrade(empty)

    assert schema.current(empty) == BEFORE_WORDS
    with empty.connect() as connection:
        connection.exec_driver_sql("UPDATE block_replicas SET state = 'stuck'")


@pytest.mark.parametrize("where", [f"{of}.{name}" for of in WORDS for name in WORDS[of]])
def test_the_database_refuses_a_word_that_is_none_of_the_list(upgraded: Engine, where: str) -> None:
    of, _, name = where.partition(".")
    here, words, refusal = Base.metadata.tables[of], WORDS[of][name], f"ck_{of}_{name}"
    with upgraded.connect() as connection:
        row = dict(connection.execute(here.select()).mappings().one())
        for word in (words[0].upper(), "stuck", ""):
            with pytest.raises(DBAPIError, match=refusal):
                connection.execute(here.update().values({name: word}))
            with pytest.raises(DBAPIError, match=refusal):
                connection.execute(here.insert(), [row | {name: word}])
        for word in words:
            connection.execute(here.update().values({name: word}))
        connection.rollback()


def test_names_that_differ_in_case_are_two_names(empty: Engine) -> None:
    schema.upgrade(empty)
    begin = UnitOfWork(empty)
    with begin() as work:
        work.insert(Group, [{"name": name, "level": "block"} for name in ("a", "A")])
        assert work.scalar(select(Group.id).where(Group.name == "A")) == 2


def test_a_name_cannot_be_taken_twice(empty: Engine) -> None:
    schema.upgrade(empty)
    begin = UnitOfWork(empty)
    with pytest.raises(IntegrityError), begin() as work:
        work.insert(Group, [{"name": "a", "level": "block"}, {"name": "a", "level": "dataset"}])


def test_a_name_must_be_ascii_on_mariadb(mariadb_url: str) -> None:
    engine = connect(mariadb_url)
    schema.upgrade(engine)
    with engine.connect() as connection:
        kinds = connection.exec_driver_sql(
            "SELECT table_name, column_name, collation_name FROM information_schema.columns"
            " WHERE table_schema = DATABASE() AND column_name IN ('name', 'lfn', 'dataset')"
        ).all()
    engine.dispose()
    assert {collation for _, _, collation in kinds} == {"ascii_bin"}
