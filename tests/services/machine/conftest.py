"""Plays on SQLite and on MariaDB in which nothing is left to chance."""

import itertools
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from types import SimpleNamespace

import pytest
from sqlalchemy import Engine

from dynamo.db.engine.connection import connect
from dynamo.operations.hints import Hint
from tests.conftest import Clock, _empty
from tests.servers import MariaDB
from tests.services.machine.play import SITES, Play
from tests.services.machine.stage import Points, Stage, WatchedStorages
from tests.services.world import build

ROOM = 400
"""Bytes that users have at each site, and at all of them together, to begin with."""


@pytest.fixture
def _no_chance(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    """Tie workers' clocks to the one clock; nobody sleeps."""
    clock = Clock()

    def monotonic() -> float:
        return clock.now.timestamp()

    ticking = SimpleNamespace(monotonic=monotonic, sleep=lambda _seconds: None)
    for module in ("services.leases", "services.transfers.executor", "db.engine.unit_of_work"):
        monkeypatch.setattr(f"dynamo.{module}.time", ticking)
    return clock


@pytest.fixture
def playing(_no_chance: Clock, tmp_path: Path) -> Callable[[Engine], Play]:
    """Return what begins a play on an empty inventory."""
    numbers = itertools.count()

    def begin(engine: Engine) -> Play:
        folder = tmp_path / f"play{next(numbers)}"
        folder.mkdir()
        published: list[Hint] = []
        _no_chance.now = Clock().now
        points = Points()
        world = build(
            Stage(engine, published.extend, _no_chance, points),
            folder,
            published,
            block={"max_files": 3, "max_bytes": 100},
            user={"quota": ROOM},
            lease={"heartbeat": 10**6},  # a real one would beat only on a machine that is slow
        )
        world.ctx = replace(
            world.ctx,
            storages=WatchedStorages("/store/temp/dynamo", points),
            dice=Random(1),
            stopwatch=lambda: _no_chance.now.timestamp(),  # noqa: PLW0108 - its moment changes
        )
        for site in SITES:
            world.site(site, quota=ROOM)
        return Play(world, _no_chance, points)

    return begin


@pytest.fixture
def on_sqlite(
    playing: Callable[[Engine], Play], _sqlite_schema: Path, tmp_path: Path
) -> Iterator[Callable[[], Play]]:
    """Return what begins a play on a new SQLite file."""
    open_ones: list[Engine] = []

    def begin() -> Play:
        for engine in open_ones:
            engine.dispose()
        path = tmp_path / "inventory.db"
        for old in tmp_path.glob("inventory.db*"):
            old.unlink()
        shutil.copyfile(_sqlite_schema, path)
        open_ones[:] = [connect(f"sqlite:///{path}")]
        return playing(open_ones[0])

    yield begin
    for engine in open_ones:
        engine.dispose()


@pytest.fixture
def on_mariadb(
    playing: Callable[[Engine], Play], mariadb_server: MariaDB, _mariadb_schema: str
) -> Iterator[Callable[[], Play]]:
    """Return what begins a play on an emptied MariaDB."""
    open_ones: list[Engine] = []

    def begin() -> Play:
        for engine in open_ones:
            engine.dispose()
        _empty(mariadb_server, _mariadb_schema)
        # a new connection costs PyMySQL 55 ms with TLS, and 1 ms without
        open_ones[:] = [connect(f"{mariadb_server.url(_mariadb_schema)}?ssl_disabled=1")]
        return playing(open_ones[0])

    yield begin
    for engine in open_ones:
        engine.dispose()
