"""Rows as one text are the rows that the driver reads."""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pytest
from sqlalchemy import select

from dynamo.db.engine import packed_rows
from dynamo.db.engine.key_lists import among
from dynamo.db.engine.unit_of_work import UnitOfWork
from dynamo.db.tables import Group, History

NOW = datetime(2026, 11, 22, 12, 30, 15, 123456, tzinfo=UTC)
SHOWN = select(History.id, History.at, History.who, History.n_files, History.site)


class Shown(NamedTuple):
    """A row of the test."""

    id: int
    at: datetime
    who: str
    n_files: int | None
    site: str | None


@pytest.fixture
def begin(inventory: UnitOfWork) -> UnitOfWork:
    with inventory() as work:
        rows = [
            {"at": NOW + timedelta(seconds=n), "what": "x", "who": f"user{n}", "trace": ""}
            | {"n_files": n if n % 2 else None, "site": f"T2_{n}" if n % 3 else None, "bytes": 0}
            for n in range(50)
        ]
        work.insert(History, rows)
    return inventory


def test_they_come_in_the_order_that_is_asked_for(begin: UnitOfWork) -> None:
    with begin.reading() as work:
        plain = work.read(Shown, SHOWN.order_by(History.at.desc()))
        found = packed_rows.read(work, Shown, SHOWN, History.at.desc())
    assert found == plain
    assert [(row.who, row.site) for row in found[:2]] == [("user49", "T2_49"), ("user48", None)]
    assert found[-1].at == NOW


def test_some_are_chosen_by_their_keys(begin: UnitOfWork) -> None:
    with begin.reading() as work:
        keys = work.scalars(select(History.id).order_by(History.id))

        def chosen(wanted: list[int]) -> list[str]:
            statement = select(History.who).where(among(History.id, wanted))
            return [who for (who,) in packed_rows.rows(work, statement, History.id)]

        assert chosen(keys[3:5]) == ["user3", "user4"]
        assert chosen(keys[7:8]) == ["user7"]
        assert chosen([]) == []


def test_flags_are_flags_and_long_texts_are_not_cut_off(begin: UnitOfWork) -> None:
    with begin() as work:
        work.insert(History, [{"at": NOW, "what": "x", "who": "y", "trace": "z" * 90}] * 20_000)
    with begin.reading() as work:
        found = packed_rows.rows(work, select(History.id, History.trace), History.id)
        groups = packed_rows.rows(work, select(Group.id, (Group.id > 0).label("is_one")), Group.id)
    assert len(found) == 20_050
    assert {trace for _, trace in found[50:]} == {"z" * 90}
    assert {is_one for _, is_one in groups} <= {True}
