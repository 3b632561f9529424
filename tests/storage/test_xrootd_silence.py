"""Servers that fall silent under the path of user data: look again, and never copy twice."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine

from dynamo.db.engine.unit_of_work import UnitOfWork
from dynamo.operations.hints import Hint
from dynamo.services.context import storages
from tests.conftest import Clock
from tests.servers_xrootd import XRootD, xrootd_servers
from tests.services.world import lfn
from tests.storage.grid import AWAY, LIMITS, Grid, consolidated, grid_of, reason
from tests.storage.suite import some_bytes


@pytest.fixture
def engine(_sqlite: Engine) -> Engine:
    """One database: what differs between two is not tried here, and silence takes its time."""
    return _sqlite


@pytest.fixture(scope="module")
def servers() -> Iterator[list[XRootD]]:
    with xrootd_servers(2) as running:
        yield running


@pytest.fixture
def grid(
    begin: UnitOfWork, tmp_path: Path, published: list[Hint], servers: list[XRootD]
) -> Iterator[Grid]:
    with grid_of(begin, tmp_path, published, servers) as world:
        yield world


def test_a_server_that_freezes_in_a_copy_gets_it_once(grid: Grid, clock: Clock):
    data = some_bytes(2 * 2**20 - 1)
    copy = consolidated(grid, data)
    grid.wires["T2_B"].when(len(data) // 2, grid.servers["T2_B"].freeze)
    freezes_and_arrives(grid, data)
    asked_so_far = grid.wires["T2_B"].asked

    grid.later(clock)

    assert grid.request("copy", copy)["state"] == "done"
    assert grid.on_disk("T2_B") == {lfn("out.root"): data}
    assert grid.on_disk("T2_A") == {}
    assert grid.wires["T2_B"].asked - asked_so_far < len(data) // 10


def test_a_server_that_freezes_while_it_fetches_gets_it_once(grid: Grid, clock: Clock):
    data = some_bytes(2**20) * 64
    copy = consolidated(grid, data)
    grid.wires["T2_A"].when(len(data) // 2, grid.servers["T2_B"].freeze)
    freezes_and_arrives(grid, data)
    given_so_far = grid.wires["T2_A"].answered

    grid.later(clock)

    assert grid.request("copy", copy)["state"] == "done"
    assert grid.on_disk("T2_B") == {lfn("out.root"): data}
    assert grid.on_disk("T2_A") == {}
    assert grid.wires["T2_A"].answered - given_so_far < len(data) // 10


def freezes_and_arrives(grid: Grid, data: bytes) -> None:
    """Copy to a server that freezes meanwhile; awake again, it ends what nobody waits for."""
    grid.work()
    assert reason(grid) == "queue-timeout"
    [temporary] = grid.on_disk("T2_B")
    assert "/.copies/" in temporary
    grid.servers["T2_B"].thaw()
    time.sleep(AWAY)
    end = time.monotonic() + 30
    while grid.on_disk("T2_B") != {temporary: data}:
        assert time.monotonic() < end, "what was on its way did not arrive"
        time.sleep(0.1)


def test_a_file_whose_rename_was_never_answered_is_found_in_its_place(grid: Grid, clock: Clock):
    data = some_bytes(10**6)
    copy = consolidated(grid, data)
    grid.wires["T2_B"].mute_after = b" /store/user/"  # the new name in a rename
    grid.work()
    assert reason(grid) == "queue-timeout"
    assert grid.on_disk("T2_B") == {lfn("out.root"): data}
    asked_so_far = grid.wires["T2_B"].asked
    grid.wires["T2_B"].heal()
    time.sleep(AWAY)

    grid.later(clock)

    assert grid.request("copy", copy)["state"] == "done"
    assert grid.on_disk("T2_B") == {lfn("out.root"): data}
    assert grid.wires["T2_B"].asked - asked_so_far < len(data) // 10


def test_a_file_whose_last_write_was_never_answered_is_not_written_again(grid: Grid, clock: Clock):
    data = some_bytes(10**6)
    copy = consolidated(grid, data)
    grid.wires["T2_B"].mute_after = data[-100:]
    grid.work()
    assert reason(grid) == "queue-timeout"
    [temporary] = grid.on_disk("T2_B")
    assert "/.copies/" in temporary
    asked_so_far = grid.wires["T2_B"].asked
    grid.wires["T2_B"].heal()
    time.sleep(AWAY)

    grid.later(clock)

    assert grid.request("copy", copy)["state"] == "done"
    assert grid.on_disk("T2_B") == {lfn("out.root"): data}
    assert grid.wires["T2_B"].asked - asked_so_far < len(data) // 10


def test_a_server_that_ends_in_a_copy_gets_it_once_it_is_back(grid: Grid, clock: Clock):
    data = some_bytes(10**6)
    copy = consolidated(grid, data)
    grid.servers["T2_B"].stop()
    grid.work()
    assert reason(grid) == "destination-error"
    grid.servers["T2_B"].start()
    time.sleep(AWAY)

    grid.later(clock)

    assert grid.request("copy", copy)["state"] == "done"
    assert grid.on_disk("T2_B") == {lfn("out.root"): data}


def test_a_silent_site_is_waited_for_once_a_batch_not_once_a_file(grid: Grid, clock: Clock):
    grid.many("T2_A", 20)
    grid.servers["T2_A"].freeze()
    began = time.monotonic()
    grid.work()
    # once a file would be 20 answers
    assert time.monotonic() - began < 10 * LIMITS["answer_seconds"]
    assert reason(grid) == "queue-timeout"
    grid.servers["T2_A"].thaw()
    time.sleep(AWAY)

    grid.later(clock)

    assert len(grid.on_disk("T2_A")) == 20


def test_deletions_at_a_silent_site_are_waited_for_once_and_done_when_it_is_back(
    grid: Grid, clock: Clock
):
    grid.many("T2_A", 20)
    grid.work()
    grid.close()
    grid.work()
    deletion = grid.delete()
    grid.work()
    clock.forward(hours=25)
    grid.servers["T2_A"].freeze()
    began = time.monotonic()
    grid.sweep()
    # one batch for each of the four blocks; once a file would be 20 answers
    assert time.monotonic() - began < 15 * LIMITS["answer_seconds"]
    assert len(grid.on_disk("T2_A")) == 20
    grid.servers["T2_A"].thaw()
    for _ in range(8):
        time.sleep(AWAY)
        grid.later(clock)
        if grid.request("deletion", deletion)["state"] == "done":
            break

    assert grid.request("deletion", deletion)["state"] == "done"
    assert grid.on_disk("T2_A") == {}


def test_a_source_that_falls_silent_is_not_taken_for_the_destination(grid: Grid, clock: Clock):
    data = some_bytes(10**6)
    copy = consolidated(grid, data)
    grid.servers["T2_A"].freeze()
    grid.work()
    assert reason(grid) == "source-error"
    assert grid.on_disk("T2_B") == {}
    grid.servers["T2_A"].thaw()
    time.sleep(AWAY)

    grid.later(clock)

    assert grid.request("copy", copy)["state"] == "done"


def test_bookings_at_a_silent_site_are_answered_at_once_and_leave_few_threads_waiting(grid: Grid):
    ctx = grid.ctx
    patience = 0.5
    grid.ctx = replace(ctx, storages=storages(ctx.settings, LIMITS["answer_seconds"], patience))
    grid.book("T2_A", "first.root", b"events")
    grid.servers["T2_A"].freeze()
    before = threading.active_count()

    def timed(n: int) -> float:
        began = time.monotonic()
        grid.book("T2_A", f"{n}.root", b"events")
        return time.monotonic() - began

    with ThreadPoolExecutor(4) as callers:
        taken = list(callers.map(timed, range(24)))

    assert max(taken) < LIMITS["answer_seconds"] - 1
    assert sum(one > patience for one in taken) <= 4
    assert threading.active_count() - before <= 4
    began = time.monotonic()
    grid.book("T2_B", "other.root", b"events")
    assert time.monotonic() - began < patience
    assert (grid.servers["T2_B"].root / "store/temp/dynamo/alice").is_dir()


def test_a_site_that_answers_again_is_prepared_again(grid: Grid):
    ctx = grid.ctx
    grid.ctx = replace(ctx, storages=storages(ctx.settings, LIMITS["answer_seconds"], 0.5))
    folder = grid.servers["T2_A"].root / "store/temp/dynamo/alice"
    grid.servers["T2_A"].freeze()
    grid.book("T2_A", "first.root", b"events")
    grid.servers["T2_A"].thaw()
    time.sleep(LIMITS["answer_seconds"] + AWAY)
    folder.rmdir()

    grid.book("T2_A", "second.root", b"events")

    assert folder.is_dir()
