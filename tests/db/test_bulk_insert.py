"""Many rows in one statement: their keys, what they share, and names that look like SQL."""

import threading
from datetime import UTC, datetime

from sqlalchemy import select

from dynamo.db.engine import bulk_insert
from dynamo.db.engine.unit_of_work import UnitOfWork
from dynamo.db.tables import Group, History

NOW = datetime(2026, 11, 22, 12, 30, 15, 123456, tzinfo=UTC)
SHARED = {"at": NOW, "what": "100 % 's\\", "trace": "", "n_files": None, "site": "%(x)s %s"}


def insert(begin: UnitOfWork, names: list[str]) -> list[int]:
    with begin() as work:
        rows = [(name, number) for number, name in enumerate(names)]
        return bulk_insert.insert(work, History, SHARED, ("who", "bytes"), rows)


def test_each_row_has_what_all_share_and_its_own(inventory: UnitOfWork) -> None:
    keys = insert(inventory, ["a", "it's", '"%s"', "100%"])
    with inventory.reading() as work:
        rows = work.rows(select(*History.__table__.columns).order_by(History.id))
    assert [row.id for row in rows] == keys
    assert [(row.who, row.bytes) for row in rows] == [
        ("a", 0),
        ("it's", 1),
        ('"%s"', 2),
        ("100%", 3),
    ]
    assert {(row.at, row.what, row.n_files, row.site) for row in rows} == {
        (NOW, "100 % 's\\", None, "%(x)s %s")
    }


def test_keys_are_right_in_many_statements(inventory: UnitOfWork) -> None:
    names = [str(number) for number in range(2500)]
    keys = insert(inventory, names)
    with inventory.reading() as work:
        found = {row.id: row.who for row in work.rows(select(History.id, History.who))}
    assert [found[key] for key in keys] == names


def test_keys_are_right_while_others_insert_too(inventory: UnitOfWork) -> None:
    inserted: dict[int, str] = {}

    def work(worker: int) -> None:
        for turn in range(20):
            names = [f"{worker}-{turn}-{number}" for number in range(1 + turn * 7)]
            inserted.update(zip(insert(inventory, names), names, strict=True))

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with inventory.reading() as reading:
        found = {row.id: row.who for row in reading.rows(select(History.id, History.who))}
    assert inserted == found
    assert len(found) == 6 * sum(1 + turn * 7 for turn in range(20))


def test_rows_need_not_share_anything(inventory: UnitOfWork) -> None:
    with inventory() as work:
        bulk_insert.insert(work, Group, {}, ("name", "level"), [("a", "block"), ("b", "dataset")])
        found = [tuple(row) for row in work.rows(select(Group.name, Group.level))]
    assert sorted(found) == [("a", "block"), ("b", "dataset")]


def test_nothing_is_nothing(inventory: UnitOfWork) -> None:
    assert insert(inventory, []) == []
