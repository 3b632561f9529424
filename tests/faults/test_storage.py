"""Sources that are wrong, short or gone, and strangers at the destination."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import select

from dynamo.db.engine.unit_of_work import UnitOfWork
from dynamo.db.tables import Incident
from dynamo.inventory import schemas
from dynamo.operations.hints import Hint
from tests.conftest import Clock
from tests.faults import scenario
from tests.faults.endings import assert_all_ended, assert_well, described, seen
from tests.services.world import World, adler32, lfn

GOOD = b"the right events" * 1000
OUT = lfn("out.root")


@pytest.fixture
def world(begin: UnitOfWork, tmp_path: Path, published: list[Hint]) -> World:
    """Three sites."""
    return scenario.stage(begin, tmp_path, published)


def tried_out(world: World, clock: Clock) -> None:
    """Let the pools try until they give a file a rest."""
    for _ in range(8):
        clock.forward(minutes=50)
        world.sweep()


WRONG = {
    "other bytes": GOOD.replace(b"r", b"R"),
    "too short": GOOD[:-1],
    "too long": GOOD + b"!",
    "nothing": b"",
    "zeros at the end": GOOD[:-100] + b"\0" * 100,
}


@pytest.mark.parametrize("content", WRONG.values(), ids=WRONG)
def test_a_wrong_source_is_never_taken_and_a_right_one_in_its_place_is(
    world: World, clock: Clock, content: bytes
):
    file = schemas.InjectedFile(
        lfn=OUT,
        size=len(GOOD),
        adler32=adler32(GOOD),
        source=world.output("T2_A", "out.root", content),
    )
    request = world.inject("T2_A", [file])
    world.work()
    tried_out(world, clock)

    [problem] = world.problems("injection", request)
    assert (problem["reason"], problem["attempts"]) == ("checksum-mismatch", 6)
    assert world.request("injection", request)["state"] == "held"
    assert seen(world.folder / "T2_A") == {}
    assert_well(world)
    world.output("T2_A", "out.root", GOOD)
    again = world.inject("T2_A", [file])
    world.work()
    assert seen(world.folder / "T2_A") == described({OUT: GOOD})
    clock.forward(minutes=2)  # the new request looks after the old one's file
    world.sweep()
    assert world.request("injection", again)["state"] == "done"
    world.close()
    world.work()
    assert_all_ended(world)


def test_a_source_that_vanishes_is_awaited(world: World, clock: Clock):
    request = world.inject("T2_A", [world.pulled("T2_A", "out.root", GOOD)])
    world.output_path("T2_A", "out.root").unlink()
    world.work()
    tried_out(world, clock)

    assert world.problems("injection", request)[0]["reason"] == "source-missing"
    assert_well(world)
    world.output("T2_A", "out.root", GOOD)
    clock.forward(days=1, minutes=1)
    world.sweep()
    assert world.request("injection", request)["state"] == "done"
    assert seen(world.folder / "T2_A") == described({OUT: GOOD})
    assert_all_ended(world)


STRANGERS = {**WRONG, "the right bytes": GOOD}


@pytest.mark.parametrize("content", STRANGERS.values(), ids=STRANGERS)
@pytest.mark.parametrize("way", ["pull", "upload", "copy"])
def test_a_stranger_at_the_destination_is_never_taken_by_its_name(
    world: World, way: str, content: bytes
):
    site = "T2_C" if way == "copy" else "T2_A"
    place = world.path(site, OUT)
    place.parent.mkdir(parents=True)
    place.write_bytes(content)

    request = WAYS[way](world)

    assert world.request(*request)["state"] == "done"
    assert seen(world.folder / site) == described({OUT: GOOD})
    assert_well(world)


def _pull(world: World) -> tuple[str, int]:
    request = world.inject("T2_A", [world.pulled("T2_A", "out.root", GOOD)])
    world.work()
    return "injection", request


def _upload(world: World) -> tuple[str, int]:
    request = world.book("T2_A", "out.root", GOOD)
    world.upload(request, GOOD)
    world.confirm(request)
    world.work()
    return "injection", request


def _copy(world: World) -> tuple[str, int]:
    _pull(world)
    world.close()
    request = world.copy("T2_C", consolidate=False)
    world.work()
    return "copy", request


WAYS: dict[str, Callable[[World], tuple[str, int]]] = {
    "pull": _pull,
    "upload": _upload,
    "copy": _copy,
}


@pytest.mark.parametrize("kind", ["corrupt", "missing"])
def test_a_bad_copy_is_not_read_again_and_the_good_one_stays(world: World, clock: Clock, kind: str):
    _pull(world)
    world.close()
    world.copy("T2_B", consolidate=False)
    world.work()
    bad = world.path("T2_A", OUT)
    if kind == "corrupt":
        bad.write_bytes(GOOD.replace(b"r", b"R"))
    else:
        bad.unlink()
    request = world.copy("T2_C", consolidate=False)
    world.work()
    tried_out(world, clock)

    assert world.request("copy", request)["state"] == "done"
    with world.ctx.begin.reading() as work:
        assert work.rows(select(Incident.site, Incident.kind)) == [("T2_A", kind)]
    assert seen(world.folder / "T2_B") == seen(world.folder / "T2_C") == described({OUT: GOOD})


def test_the_only_copy_that_proves_corrupt_is_told_and_nothing_of_it_is_taken(
    world: World, clock: Clock
):
    _pull(world)
    world.close()
    world.work()
    world.path("T2_A", OUT).write_bytes(GOOD.replace(b"r", b"R"))
    request = world.copy("T2_C")
    world.work()
    tried_out(world, clock)

    assert world.request("copy", request)["state"] == "held"
    assert world.problems("copy", request)[0]["reason"] == "no-source"
    assert seen(world.folder / "T2_C") == {}
    assert list(seen(world.folder / "T2_A")) == [OUT]  # whoever looks at it may still mend it


def test_an_injection_into_a_site_that_is_not_ready_is_held_until_it_is(world: World, clock: Clock):
    request = world.inject("T2_A", [world.pulled("T2_A", "out.root", GOOD)])
    world.status("T2_A", "waitroom")
    world.work()

    assert world.request("injection", request)["state"] == "held"
    assert world.problems("injection", request)[0]["reason"] == "site-not-ready"
    world.status("T2_A", "ready")
    clock.forward(minutes=1)
    world.sweep()
    assert world.request("injection", request)["state"] == "done"
    world.close()
    world.work()
    assert_all_ended(world)


def test_a_deletion_from_a_storage_that_is_away_is_held_until_it_is_back(
    world: World, clock: Clock
):
    _pull(world)
    world.close()
    world.work()
    root, away = world.folder / "T2_A", world.folder / "unmounted"
    root.rename(away)
    request = world.delete()
    world.work()
    tried_out(world, clock)

    assert world.request("deletion", request)["state"] == "held"
    assert world.problems("deletion", request)[0]["attempts"] == 6
    away.rename(root)
    assert_well(world)
    clock.forward(days=1, minutes=1)
    world.sweep()
    assert world.request("deletion", request)["state"] == "done"
    assert seen(root) == {}
    assert_all_ended(world)
