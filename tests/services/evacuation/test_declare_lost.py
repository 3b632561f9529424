"""Losses are declared of what breaks off while it is read, not of what can be read to its end."""

import contextlib
import errno
import io
import os
from collections.abc import Iterator
from typing import ClassVar

import pytest

from dynamo.inventory import schemas
from dynamo.services.evacuation import declare_lost
from dynamo.services.evacuation import status as evacuation_status
from dynamo.services.sites import sites
from dynamo.storage.posix.storage import PosixStorage
from dynamo.storage.registry import BACKENDS
from tests.conftest import Clock
from tests.services.world import OPERATOR, World, lfn
from tests.steps.evacuation import lost, rounds

SECTOR = 100_000
LARGE = b"events" * 50_000
NAMES = ("T2_A_0.root", "T2_A_1.root")


class Worn(PosixStorage):
    """A real storage on a disk on which some files have a bad sector."""

    bad: ClassVar[set[str]] = set()

    @contextlib.contextmanager
    def read(self, name: str) -> Iterator[io.FileIO]:
        """Open a file of which all before the bad sector can be read."""
        with super().read(name) as stream:
            yield _Worn(os.dup(stream.fileno())) if name in self.bad else stream


class _Worn(io.FileIO):
    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        left = SECTOR - self.tell()
        if left <= 0:
            raise OSError(errno.EIO, "Input/output error")
        return super().readinto(buffer[:left])


@pytest.fixture
def worn(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """Two large files at T2_A alone, both with a bad sector, which an operator gives up."""
    monkeypatch.setitem(BACKENDS, "file", lambda where, area, _limits: Worn.at(where, area))
    monkeypatch.setattr(Worn, "bad", set())
    world.ctx = world.with_settings(retry={"first_seconds": 1}, deletion={"grace_hours": 0})
    world.inject("T2_A", [world.pulled("T2_A", name, LARGE) for name in NAMES])
    world.close()
    world.work()
    Worn.bad.update(lfn(name) for name in NAMES)
    sites.update(world.ctx, "T2_A", schemas.SiteBody(status="morgue"), OPERATOR)  # type: ignore[arg-type]
    return world


def test_what_breaks_off_behind_its_begin_is_lost_and_what_is_read_to_its_end_is_not(
    worn: World, clock: Clock
) -> None:
    rounds(worn, clock, 3)
    assert len(worn.on_disk("T2_B")) + len(worn.on_disk("T2_C")) == 0
    assert evacuation_status.losses(worn.ctx, "T2_A")["unread"]["files"] == 2
    Worn.bad.remove(lfn(NAMES[1]))

    told = declare_lost.declare(worn.ctx, "T2_A", OPERATOR)

    assert (told["lost"], told["kept"], told["unsure"]) == (1, 1, 0)
    assert lost(worn) == [lfn(NAMES[0])]
    rounds(worn, clock, 4)
    (copied,) = [*worn.on_disk("T2_B").values(), *worn.on_disk("T2_C").values()]
    assert copied == LARGE
