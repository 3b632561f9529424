"""A stop switch acts from one file to the next, in the midst of a run of deletions."""

import threading
from pathlib import Path

import pytest

from dynamo.db.engine.unit_of_work import UnitOfWork
from dynamo.inventory import schemas
from dynamo.operations.hints import Hint
from dynamo.services.deletions import reaper
from dynamo.services.sites import switches
from dynamo.storage.posix.storage import PosixStorage
from tests.conftest import Clock
from tests.faults.endings import assert_all_ended, assert_well, seen
from tests.faults.racing import race, refusals
from tests.services.world import OPERATOR, World, build

FILES = 2_000
WORKERS = 4


@pytest.fixture
def world(begin: UnitOfWork, tmp_path: Path, published: list[Hint]) -> World:
    """A site full of files, and no grace for what is deleted."""
    small = build(begin, tmp_path, published, deletion={"grace_hours": 0})
    small.site("T2_A")
    small.many("T2_A", FILES)
    small.work(1000)
    small.close()
    small.work()
    return small


def put(world: World, name: str, *, stopped: bool) -> None:
    switches.update(world.ctx, name, schemas.SwitchBody(stopped=stopped, why="drill"), OPERATOR)


@pytest.mark.parametrize("switch", ["deletions", "site:T2_A"])
def test_after_the_switch_each_worker_deletes_at_most_the_file_it_has_in_hand(
    world: World, clock: Clock, monkeypatch: pytest.MonkeyPatch, switch: str
):
    delete, gone, lock = PosixStorage.delete, [0], threading.Lock()
    stopped_at: list[int] = []

    def counted(self: PosixStorage, lfn: str) -> bool:
        done = delete(self, lfn)
        with lock:
            gone[0] += 1
            turn = gone[0] == 20
        if turn:
            put(world, switch, stopped=True)
            stopped_at.append(gone[0])
        return done

    monkeypatch.setattr(PosixStorage, "delete", counted)
    request = world.delete()
    world.step("condemn")
    due = sorted({key for hint in world.published if hint.task == "delete" for key in hint.ids})
    assert len(due) == FILES
    world.published.clear()
    shares = [due[n::WORKERS] for n in range(WORKERS)]

    results = race([lambda ids=ids: reaper.run(world.ctx, ids) for ids in shares])

    assert refusals(results) == []
    assert gone[0] <= stopped_at[0] + WORKERS < FILES
    assert len(seen(world.folder / "T2_A")) == FILES - gone[0]
    assert_well(world)
    put(world, switch, stopped=False)
    for _ in range(3):
        clock.forward(minutes=5)
        world.sweep()
    assert world.request("deletion", request)["state"] == "done"
    assert seen(world.folder / "T2_A") == {}
    assert_all_ended(world)
