"""Probing a site: each step on real storage, what fails is named, nothing is left behind."""

import os
from pathlib import Path

import pytest
from sqlalchemy import select

from dynamo.db.engine.unit_of_work import UnitOfWork
from dynamo.db.tables import Site
from dynamo.errors import Invalid
from dynamo.services.deletions import reaper
from dynamo.services.sites import probes as site_probes
from dynamo.storage.probe import NEEDED, Outcome, ProbeStep, is_usable
from tests.conftest import Clock
from tests.services.world import World, build


@pytest.fixture
def real(inventory: UnitOfWork, tmp_path: Path) -> World:
    """One site in a folder, under the database's own clock."""
    small = build(inventory, tmp_path, [])
    small.site("T2_A")
    return small


def outcomes(steps: list[ProbeStep]) -> dict[str, str]:
    return {step.name: step.outcome.value for step in steps}


def site_id(world: World, name: str = "T2_A") -> int:
    with world.ctx.begin.reading() as work:
        return int(work.scalar(select(Site.id).where(Site.name == name)))


def test_a_good_site_does_every_step_and_keeps_nothing(real: World) -> None:
    steps = site_probes.probe(real.ctx, site_id(real))

    assert outcomes(steps) == {
        **dict.fromkeys(("write", "stat", "sum", "clock", "rename", "namespace", "delete"), "ok"),
        "third-party copy": "skipped",
    }
    assert is_usable(steps)
    assert set(NEEDED) <= {step.name for step in steps}
    assert real.on_disk("T2_A") == {}


def test_a_site_whose_folder_is_gone_fails_at_the_first_step(real: World) -> None:
    (real.folder / "T2_A").rmdir()

    steps = site_probes.probe(real.ctx, site_id(real))

    assert steps[0].name == "write"
    assert steps[0].outcome is Outcome.FAILED
    assert steps[0].reason == "destination-error"
    assert {step.outcome for step in steps[1:]} == {Outcome.SKIPPED}
    assert not is_usable(steps)


@pytest.mark.parametrize("left", [0, 1])
def test_an_empty_folder_where_many_files_should_lie_is_no_site_and_stays_empty(
    world: World, left: int
) -> None:
    world.ctx = world.with_settings(block={"max_files": 1})
    world.many("T2_A", 11)
    world.close()
    world.work()
    files = sorted(path for path in world.path("T2_A", "store").rglob("*.root"))
    for path in files[left:]:
        path.unlink()
    before = sorted(world.path("T2_A", "store").rglob("*"))

    steps = site_probes.probe(world.ctx, site_id(world))

    assert is_usable(steps) == bool(left)
    if not left:
        assert steps[0].detail == (
            "none of 11 files that should lie there does: is the disk mounted?"
        )
        assert sorted(world.path("T2_A", "store").rglob("*")) == before


def test_a_site_is_not_judged_by_a_few_files(world: World) -> None:
    world.ctx = world.with_settings(block={"max_files": 1})
    world.many("T2_A", 10)
    world.close()
    world.work()
    for path in world.path("T2_A", "store").rglob("*.root"):
        path.unlink()

    assert is_usable(site_probes.probe(world.ctx, site_id(world)))


@pytest.mark.parametrize(("folder", "mode"), [("store/user/dynamo", 0o1777), ("store", 0o777)])
def test_a_namespace_that_others_can_write_to_is_told(real: World, folder: str, mode: int) -> None:
    path = real.path("T2_A", folder)
    path.mkdir(parents=True)
    path.chmod(mode)

    steps = site_probes.probe(real.ctx, site_id(real))

    assert outcomes(steps)["namespace"] == "failed"
    assert is_usable(steps)


@pytest.mark.parametrize(("folder", "said"), [("store/user/dynamo", "failed"), ("store", "ok")])
def test_a_namespace_that_belongs_to_somebody_else_is_told(
    real: World, monkeypatch: pytest.MonkeyPatch, folder: str, said: str
) -> None:
    path = real.path("T2_A", folder)
    path.mkdir(parents=True)
    if os.geteuid() == 0:
        os.chown(path, 12345, -1)
    else:  # folders cannot be given away: we become somebody else ourselves
        monkeypatch.setattr(os, "geteuid", lambda: 12345)
        said = "failed"

    assert outcomes(site_probes.probe(real.ctx, site_id(real)))["namespace"] == said


def test_a_shared_folder_above_in_which_ours_cannot_be_moved_is_fine(real: World) -> None:
    path = real.path("T2_A", "store/user")
    path.mkdir(parents=True)
    path.chmod(0o1777)

    assert outcomes(site_probes.probe(real.ctx, site_id(real)))["namespace"] == "ok"


def test_a_clock_that_is_far_off_is_told(begin: UnitOfWork, tmp_path: Path, clock: Clock) -> None:
    world = build(begin, tmp_path, [])
    world.site("T2_A")
    clock.forward(days=-400)

    steps = {step.name: step for step in site_probes.probe(world.ctx, site_id(world))}

    assert steps["clock"].outcome is Outcome.FAILED
    assert "ahead" in str(steps["clock"].detail)
    assert steps["delete"].outcome is Outcome.OK


def test_what_deletes_probes_deletes_nothing_else(real: World) -> None:
    path = real.path("T2_A", "/store/user/dynamo/alice/out.root")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"data")
    storage = real.ctx.storages.at(f"file://{real.folder / 'T2_A'}", {})

    with pytest.raises(Invalid):
        reaper.delete_probe(storage, "/store/user/dynamo/alice/out.root")
    assert path.read_bytes() == b"data"
