"""A database that refuses or goes away at every statement of every unit of work."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pymysql
import pytest
from sqlalchemy import Engine, event

from dynamo.db.engine.unit_of_work import TRIES, UnitOfWork
from dynamo.inventory import schemas
from dynamo.operations.hints import Hint
from tests.conftest import Clock
from tests.faults import scenario
from tests.faults.endings import assert_all_ended, described, seen
from tests.services.world import World, lfn

MESSAGES = {
    1213: "Deadlock found when trying to get lock; try restarting transaction",
    1205: "Lock wait timeout exceeded; try restarting transaction",
    2006: "MySQL server has gone away",
    2013: "Lost connection to MySQL server during query",
}

Codes = tuple[int, ...]
"""Errors that are met in turn."""


class Faults:
    """Lets the n-th attempt at a unit of work fail at its statement `skip` + n.

    So one telling of the story meets each unit's first statement, then its second, and so on, as
    long as the unit is tried again; what lies beyond is met with a larger `skip`. The commit is
    the last statement of its unit.
    """

    def __init__(self, engine: Engine, codes: Codes, skip: int = 0) -> None:
        self.codes = codes
        self.skip = skip
        self.longest = 0
        self.injected = 0
        self._armed = False
        self._failed = 0
        self._statement = 0
        event.listen(engine, "begin", self._begin)
        event.listen(engine, "do_execute", self._execute)
        event.listen(engine, "do_executemany", self._execute)

    @contextmanager
    def armed(self) -> Iterator[None]:
        """Inject faults for the length of a block."""
        self._armed, self._failed = True, 0
        yield
        self._armed = False

    def commit(self, connection: Any) -> None:
        """Stand in the way of a commit."""
        self._meet(connection)
        self._failed = 0

    @property
    def are_armed(self) -> bool:
        """Tell whether faults are injected now."""
        return self._armed

    def _begin(self, _connection: object) -> None:
        self._statement = 0

    def _execute(self, cursor: Any, *_: object) -> None:
        self._meet(cursor.connection)

    def _meet(self, connection: Any) -> None:
        self._statement += 1
        self.longest = max(self.longest, self._statement)
        due = self._statement == self.skip + self._failed + 1 and self._failed < TRIES - 1
        if self._armed and due:
            self._failed += 1
            # in turn over all units: so each error is met as the first, the second, … statement
            code = self.codes[self.injected % len(self.codes)]
            self.injected += 1
            _break(connection, code)
            raise pymysql.err.OperationalError(code, MESSAGES[code])


def _break(connection: Any, code: int) -> None:
    """Do to a connection what the server does along with such an error."""
    if code in (2006, 2013):
        connection._force_close()
    elif code == 1213:
        connection.rollback()


@pytest.fixture
def tell(
    _mariadb: Engine, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Codes, int], tuple[World, Faults]]:
    """Return what tells the story under faults."""
    monkeypatch.setattr("dynamo.db.engine.unit_of_work.time.sleep", lambda _seconds: None)

    def told(codes: Codes, skip: int) -> tuple[World, Faults]:
        published: list[Hint] = []
        faults = Faults(_mariadb, codes, skip)
        commit = _mariadb.dialect.do_commit

        def do_commit(connection: Any) -> None:
            faults.commit(connection)
            commit(connection)

        monkeypatch.setattr(_mariadb.dialect, "do_commit", do_commit)
        world = scenario.stage(UnitOfWork(_mariadb, published.extend, clock), tmp_path, published)

        def step(act: Callable[[], object]) -> object:
            with faults.armed():
                given = act()
                world.work()
            return given

        scenario.tell(world, step)
        return world, faults

    return told


@pytest.mark.parametrize("skip", range(0, 4 * (TRIES - 1), TRIES - 1))
def test_a_unit_that_fails_at_any_statement_is_run_again_as_a_whole(tell, undisturbed, skip: int):
    world, faults = tell(tuple(MESSAGES), skip)

    assert faults.injected > 0
    assert faults.longest <= 4 * (TRIES - 1)  # or some statement was not met
    assert {**scenario.inventory(world), **scenario.memory(world)} == undisturbed
    assert scenario.disks(world) == {"T2_A": {}, "T2_B": {}, "T2_C": scenario.expected()}
    assert_all_ended(world)


class LostAnswers:
    """Lets some commits succeed without anybody hearing of it."""

    def __init__(self, engine: Engine, every: int, first: int) -> None:
        self.engine = engine
        self.lost = 0
        self._every = every
        self._count = -first
        self._on = False

    @contextmanager
    def on(self) -> Iterator[None]:
        """Lose answers for the length of a block."""
        self._on = True
        yield
        self._on = False

    def answer(self, connection: Any) -> None:
        """Lose the answer of a commit, when it is its turn."""
        if not self._on:
            return
        self._count += 1
        if self._count > 0 and self._count % self._every == 1 % self._every:
            self.lost += 1
            connection._force_close()
            raise pymysql.err.OperationalError(2013, MESSAGES[2013])


@pytest.fixture(params=[(2, 0), (2, 1), (3, 1), (5, 2)], ids=str)
def lost(
    request: pytest.FixtureRequest, _mariadb: Engine, monkeypatch: pytest.MonkeyPatch
) -> LostAnswers:
    """Lose every so many answers, from a certain one on."""
    monkeypatch.setattr("dynamo.db.engine.unit_of_work.time.sleep", lambda _seconds: None)
    answers, commit = LostAnswers(_mariadb, *request.param), _mariadb.dialect.do_commit

    def do_commit(connection: Any) -> None:
        commit(connection)
        answers.answer(connection)

    monkeypatch.setattr(_mariadb.dialect, "do_commit", do_commit)
    return answers


def test_a_commit_whose_answer_is_lost_has_one_effect(
    lost: LostAnswers, undisturbed, clock: Clock, tmp_path: Path
):
    """Such a unit is run again although it was committed; what it claimed is found by the sweep."""
    published: list[Hint] = []
    world = scenario.stage(UnitOfWork(lost.engine, published.extend, clock), tmp_path, published)

    def step(act: Callable[[], object]) -> object:
        with lost.on():
            given = act()
            world.work()
        for _ in range(4):  # what was claimed by nobody is found
            clock.forward(minutes=2)
            world.sweep()
        return given

    scenario.tell(world, step)

    assert lost.lost > 10
    found = scenario.inventory(world)
    assert found == {name: undisturbed[name] for name in found}
    assert scenario.disks(world) == {"T2_A": {}, "T2_B": {}, "T2_C": scenario.expected()}
    assert_all_ended(world)


def test_a_file_of_unknown_size_is_booked_once_whichever_answer_is_lost(
    mariadb_inventory: UnitOfWork, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    engine = mariadb_inventory.engine
    published: list[Hint] = []
    world = scenario.stage(UnitOfWork(engine, published.extend, clock), tmp_path, published)
    commit = engine.dialect.do_commit
    for k in range(8):
        lost = LostAnswers(engine, 1000, k)

        def do_commit(connection: Any, lost: LostAnswers = lost) -> None:
            commit(connection)
            lost.answer(connection)

        monkeypatch.setattr(engine.dialect, "do_commit", do_commit)
        unknown = schemas.InjectedFile(
            lfn=lfn(f"late{k}"), source=world.output("T2_B", f"late{k}", b"late")
        )
        with lost.on():
            world.inject("T2_B", [unknown])
            world.work()
        for _ in range(4):
            clock.forward(minutes=2)
            world.sweep()

    assert world.used("alice") == 8 * 4
    assert seen(tmp_path / "T2_B") == described({lfn(f"late{k}"): b"late" for k in range(8)})
    assert_all_ended(world)
