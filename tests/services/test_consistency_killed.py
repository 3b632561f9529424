"""A worker that is killed in the midst of looking after a file: another one finishes, once."""

import json
import signal
import subprocess
import sys

import pytest
from sqlalchemy import select

from dynamo.db.tables import History, Remedy
from dynamo.inventory import asked
from dynamo.services import scans, tidying
from tests.conftest import Clock
from tests.services.spoiling import DARK, at_two_sites, by_hand
from tests.services.world import OPERATOR, World

WORKER = """
import json, os, signal, sys
from datetime import datetime
from pathlib import Path
from dynamo.db.work import UnitOfWork, connect
from dynamo.services import remedying
from dynamo.services.tools import Tools, storages
from dynamo.settings import Settings
from dynamo.storage.posix import PosixStorage

told = json.loads(sys.argv[1])
now = datetime.fromisoformat(told["now"])
settings = Settings(data=Path(told["data"]), block={"max_files": 5})
begin = UnitOfWork(connect(told["url"]), clock=lambda _: now)
move, record = PosixStorage.move, remedying._record
def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)
def half(storage, old, new):
    path = Path(told["root"] + new)
    path.parent.mkdir(parents=True)
    os.link(told["root"] + old, path)
    die()
if told["at"] == "claimed":
    PosixStorage.move = die
elif told["at"] == "half moved":
    PosixStorage.move = half
else:
    remedying._record = die
remedying.remedy(Tools(begin, settings, storages(settings)), told["ids"])
"""


def kill_at(world: World, clock: Clock, point: str) -> None:
    """Let a worker process take all remedies, and die at a point."""
    with world.use.begin.reading() as work:
        ids = work.scalars(select(Remedy.id))
    told = {
        "now": clock.now.isoformat(),
        "data": str(world.folder),
        "url": world.use.begin.engine.url.render_as_string(hide_password=False),
        "root": str(world.folder / "T2_A"),
        "ids": ids,
        "at": point,
    }
    command = [sys.executable, "-c", WORKER, json.dumps(told)]
    ended = subprocess.run(command, check=False, timeout=60, capture_output=True)
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()


def file_remedies(world: World, clock: Clock) -> None:
    """Scan A twice; what is due waits for a worker."""
    for pause in (13, 0):
        scans.file(world.use, asked.ScanBody(site="T2_A"), OPERATOR)
        world.step("scan")
        clock.forward(hours=pause)
    world.published.clear()


def finish(world: World, clock: Clock) -> None:
    """Let another worker find what the dead one held."""
    clock.forward(minutes=5)
    tidying.tidy(world.use)
    world.work()


def told_of(world: World, what: str) -> int:
    with world.use.begin.reading() as work:
        return len(work.scalars(select(History.id).where(History.what == what)))


@pytest.mark.parametrize("point", ["claimed", "half moved", "moved"])
def test_a_dark_file_is_set_aside_once(world: World, clock: Clock, point: str):
    by_hand(world.path("T2_A", DARK), clock.now, b"dark")
    file_remedies(world, clock)

    kill_at(world, clock, point)
    finish(world, clock)

    assert world.on_disk("T2_A") == {"/store/user/dynamo-quarantine/1/dark.root": b"dark"}
    assert told_of(world, "quarantined") == 1


@pytest.mark.parametrize("point", ["claimed", "half moved", "moved"])
def test_a_bad_file_is_mended_once(world: World, clock: Clock, point: str):
    name = at_two_sites(world)[0]
    by_hand(world.path("T2_A", name), clock.now, b"short")
    file_remedies(world, clock)

    kill_at(world, clock, point)
    finish(world, clock)

    quarantine = "/store/user/dynamo-quarantine/1/T2_A_0.root"
    assert world.on_disk("T2_A") == {**world.on_disk("T2_B"), quarantine: b"short"}
    assert told_of(world, "wrong-file") == 1
