"""Evacuations, end to end: a site dies, and what lay there is elsewhere, or named with a reason."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from dynamo.db.catalogue import replicas
from dynamo.db.sites.switches import of_site
from dynamo.db.tables import BlockReplica, Dataset, Deletion, Incident, Site, Transfer
from dynamo.errors import Conflict, Forbidden, NotFound
from dynamo.inventory import schemas
from dynamo.services import retry
from dynamo.services.consistency import repair
from dynamo.services.consistency.repair import Bad
from dynamo.services.cycles import submission as cycles_submission
from dynamo.services.evacuation import declare_lost
from dynamo.services.evacuation import runner as evacuation_runner
from dynamo.services.evacuation import status as evacuation_status
from dynamo.services.policies import policies
from dynamo.services.sites import sites, switches
from tests.conftest import Clock
from tests.services.world import ALICE, BOB, DATASET, OPERATOR, World, lfn
from tests.steps.blocks import lay_out
from tests.steps.evacuation import lost, rounds
from tests.steps.official import names
from tests.steps.placement_rules import detox
from tests.steps.sites import break_site, mend_site


@pytest.fixture
def dying(world: World) -> World:
    """Ten files in two blocks that lie at T2_A alone, which an operator gives up."""
    world.ctx = world.with_settings(
        block={"max_files": 5}, deletion={"grace_hours": 0}, retry={"first_seconds": 1}
    )
    world.many("T2_A", 10)
    world.close()
    world.work()
    world.published.clear()
    return world


def give_up(world: World, name: str = "T2_A") -> None:
    sites.update(world.ctx, name, schemas.SiteBody(status="morgue"), OPERATOR)  # type: ignore[arg-type]


def move(world: World) -> None:
    """Run a cycle of the Dealer and all that comes of it."""
    body = schemas.CycleBody(kind="dealer", partition="User", dry_run=False)
    cycles_submission.file(world.ctx, body, OPERATOR)
    world.work()


def left(world: World) -> dict[str, Any]:
    return evacuation_status.get(world.ctx, "T2_A")


def test_a_dying_site_empties_itself(dying: World) -> None:
    before = left(dying)
    assert (before["evacuated"], before["left"]["files"]) == (False, 10)

    give_up(dying)
    assert left(dying)["by_fate"].keys() == {"waiting"}
    evacuation_runner.evacuate(dying.ctx)
    dying.work()
    assert len(dying.on_disk("T2_A")) == 10, "nothing leaves before it is safe elsewhere"

    move(dying)
    assert left(dying)["by_fate"].keys() == {"safe"}
    evacuation_runner.evacuate(dying.ctx)
    dying.work()

    assert dying.on_disk("T2_A") == {}
    assert len(dying.on_disk("T2_B")) + len(dying.on_disk("T2_C")) == 10
    assert left(dying)["left"] == {"blocks": 0, "files": 0, "bytes": 0}
    assert dying.count(Deletion) == 0
    assert evacuation_status.losses(dying.ctx, "T2_A")["owners"] == []


@pytest.mark.parametrize("first", ["cycle", "sweep"])
@pytest.mark.parametrize(
    "at",
    [{"T2_A": [0, 1, 2], "T2_B": [1]}, {"T2_A": [0, 1], "T2_B": [2]}],
    ids=["of-a-whole-copy", "of-parts"],
)
def test_a_part_at_a_site_that_stays_keeps_no_block_at_a_dying_one(
    world: World, clock: Clock, at: dict[str, list[int]], first: str
) -> None:
    world.ctx = world.with_settings(deletion={"grace_hours": 0})
    lay_out(world, at)
    world.work()
    give_up(world)
    assert "moving" not in left(world)["by_fate"], "nothing is on its way"
    if first == "sweep":
        evacuation_runner.evacuate(world.ctx)
        assert left(world)["by_fate"].keys() == {"moving"}
    rounds(world, clock, 3, "Production")

    assert world.on_disk("T2_A") == {}
    assert left(world)["left"]["blocks"] == 0
    held = [len(world.on_disk(site)) for site in ("T2_B", "T2_C")]
    assert held in ([3, 0], [1, 3]), "one whole copy is made"
    assert world.count(Transfer) == 0


@pytest.mark.parametrize("unreadable", [(), (1,)], ids=["all-well", "one-bad"])
def test_a_block_of_which_dying_sites_have_only_parts_leaves_them(
    world: World, clock: Clock, unreadable: tuple[int, ...]
) -> None:
    world.ctx = world.with_settings(deletion={"grace_hours": 0}, retry={"first_seconds": 1})
    lay_out(world, {"T2_A": [0, 1], "T2_B": [2]})
    for n in unreadable:
        world.path("T2_A", names("b1", 3)[n]).write_bytes(b"rotten")
    for site in ("T2_A", "T2_B"):
        give_up(world, site)
    assert left(world)["by_fate"].keys() == {"waiting"}
    rounds(world, clock, 1, "Production")
    if unreadable:
        assert left(world)["left"]["files"] == 2, "nothing leaves before all of it is safe"
        assert [one["lfn"] for one in left(world)["problems"]] == [names("b1", 3)[1]]
    rounds(world, clock, 6, "Production")

    assert world.on_disk("T2_B") == {}
    assert len(world.on_disk("T2_C")) == 3 - len(unreadable)
    assert left(world)["left"]["files"] == 0
    if not unreadable:
        assert world.on_disk("T2_A") == {}
        assert world.count(Transfer) == 0
    assert lost(world, of=None) == [names("b1", 3)[n] for n in unreadable]


def test_a_site_that_refuses_one_file_of_a_block_keeps_it_from_no_other_site(
    world: World, clock: Clock
) -> None:
    world.ctx = world.with_settings(deletion={"grace_hours": 0})
    lay_out(world, {"T2_A": [0, 1, 2]})
    foreign = world.path("T2_B", names("b1", 3)[1])
    foreign.parent.mkdir(parents=True)
    foreign.write_bytes(b"somebody else's")
    world.status("T2_C", "waitroom")
    give_up(world)
    rounds(world, clock, 1, "Production")
    assert [one["reason"] for one in left(world)["problems"]] == ["name-conflict"]

    world.status("T2_C", "ready")
    rounds(world, clock, 3, "Production")

    assert len(world.on_disk("T2_C")) == 3
    assert world.on_disk("T2_A") == {}
    assert foreign.read_bytes() == b"somebody else's"


def test_a_block_with_a_file_that_cannot_be_read_is_not_sent_to_one_site_after_another(
    world: World, clock: Clock
) -> None:
    world.ctx = world.with_settings(retry={"first_seconds": 1})
    lay_out(world, {"T2_A": [0, 1, 2]})
    world.path("T2_A", names("b1", 3)[1]).write_bytes(b"rotten")
    world.status("T2_C", "waitroom")
    give_up(world)
    for _ in range(8):
        clock.forward(minutes=70)
        world.sweep()
    rounds(world, clock, 1, "Production")
    world.status("T2_C", "ready")
    assert {one["reason"] for one in left(world)["problems"]} == {"no-source"}

    body = schemas.CycleBody(kind="dealer", partition="Production", dry_run=False)
    cycles_submission.file(world.ctx, body, OPERATOR)
    world.work()
    assert world.on_disk("T2_C") == {}


def test_the_other_files_leave_where_one_is_lost(dying: World, clock: Clock) -> None:
    with dying.ctx.begin() as work:
        site = work.row(select(Site.id, Site.name).where(Site.name == "T2_A"))
        file = repair.still_there(work, site.id, lfn("T2_A_0.root"))
        replicas.lock_blocks(work, [file.block_id])
        repair.mend(work, dying.ctx, Bad(file, site.id, site.name, "missing", "scan"))
    dying.path("T2_A", lfn("T2_A_0.root")).unlink()
    give_up(dying)
    rounds(dying, clock, 3)

    assert dying.on_disk("T2_A") == {}
    assert len(dying.on_disk("T2_B")) + len(dying.on_disk("T2_C")) == 9
    told = left(dying)
    assert told["left"]["files"] == 0
    assert [(one["lfn"], one["reason"]) for one in told["problems"]] == [
        (lfn("T2_A_0.root"), "lost")
    ]
    assert lost(dying) == [lfn("T2_A_0.root")]

    dying.delete(lfns=(lfn("T2_A_0.root"),))
    dying.work()
    assert left(dying)["left"]["blocks"] == 0


@pytest.mark.parametrize("saved", [False, True])
def test_the_other_files_leave_where_one_never_came(
    world: World, clock: Clock, saved: bool
) -> None:
    world.ctx = world.with_settings(
        block={"max_files": 5}, deletion={"grace_hours": 0}, retry={"first_seconds": 1}
    )
    files = [world.pulled("T2_A", f"T2_A_{n}.root", b"x%d" % n) for n in range(5)]
    source = Path((files[2].source or "").removeprefix("file://"))
    content = source.read_bytes()
    source.unlink()
    request = world.inject("T2_A", files)
    world.close()
    world.work()
    for _ in range(8):
        clock.forward(hours=2)
        world.sweep()
    give_up(world)
    rounds(world, clock, 3)

    assert world.on_disk("T2_A") == {}
    assert len(world.on_disk("T2_B")) + len(world.on_disk("T2_C")) == 4
    told = left(world)
    assert told["by_fate"].keys() == {"arriving"}
    assert told["left"]["files"] == 0
    assert [one["lfn"] for one in told["problems"]] == [lfn("T2_A_2.root")]

    source.write_bytes(content)
    if saved:
        sites.update(world.ctx, "T2_A", schemas.SiteBody(status="ready"), OPERATOR)  # type: ignore[arg-type]
    else:
        world.inject("T2_B", [world.pulled("T2_B", "T2_A_2.root", content)])
    rounds(world, clock, 3)
    assert world.request("injection", request)["state"] == "done"
    assert sum(len(world.on_disk(site)) for site in ("T2_A", "T2_B", "T2_C")) == 5
    assert left(world)["left"]["files"] == int(saved)


def test_an_open_block_leaves_a_dying_site_too(dying: World) -> None:
    dying.many("T2_A", 3, start=50, dataset="/Higgs/alice-v2/USER")
    dying.work()
    give_up(dying)
    evacuation_runner.evacuate(dying.ctx)
    move(dying)
    evacuation_runner.evacuate(dying.ctx)
    dying.work()
    assert dying.on_disk("T2_A") == {}
    assert left(dying)["left"]["files"] == 0


def test_files_that_cannot_be_read_are_named_and_in_the_end_lost_to_their_owner(
    dying: World, clock: Clock
) -> None:
    dying.path("T2_A", lfn("T2_A_0.root")).write_bytes(b"not what it was")
    dying.path("T2_A", lfn("T2_A_1.root")).unlink()
    give_up(dying)
    move(dying)
    evacuation_runner.evacuate(dying.ctx)
    dying.work()

    told = left(dying)
    assert told["left"]["files"] == 5, "the whole block with the two stays, the other has gone"
    assert {one["lfn"] for one in told["problems"]} == {lfn(f"T2_A_{n}.root") for n in (0, 1)}
    assert {one["reason"] for one in told["problems"]} <= {"no-source", "checksum-mismatch"}
    for _ in range(8):  # until nobody tries any more
        clock.forward(minutes=70)
        dying.sweep()
    assert {one["state"] for one in left(dying)["problems"]} == {"held"}
    assert left(dying)["stuck"]["files"] == 2
    report = evacuation_status.losses(dying.ctx, "T2_A")["owners"]
    assert [(one["owner"], one["only_here"]["files"]) for one in report] == [("alice", 5)]

    clock.forward(hours=13)
    evacuation_runner.evacuate(dying.ctx)
    dying.work()
    with dying.ctx.begin.reading() as work:
        lost = work.rows(
            select(Incident.lfn, Incident.owner).where(
                Incident.kind == "lost", Incident.ended.is_(None)
            )
        )
    assert sorted(lost) == [(lfn(f"T2_A_{n}.root"), "alice") for n in (0, 1)]
    (alice,) = evacuation_status.losses(dying.ctx, "T2_A")["owners"]
    assert sorted(alice["lost_files"]) == [lfn(f"T2_A_{n}.root") for n in (0, 1)]

    dying.delete(lfns=(lfn("T2_A_0.root"), lfn("T2_A_1.root")))
    dying.work()
    for _ in range(3):
        clock.forward(minutes=10)
        evacuation_runner.evacuate(dying.ctx)
        dying.sweep()
    assert left(dying)["left"]["files"] == 0
    assert dying.on_disk("T2_A") == {}
    assert len(dying.on_disk("T2_B")) + len(dying.on_disk("T2_C")) == 8


def test_a_site_that_is_not_mounted_loses_nothing(
    dying: World, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    dying.ctx = dying.with_settings(
        block={"max_files": 5}, retry={"first_seconds": 1}, consistency={"few": 3}
    )
    for path in (dying.folder / "T2_A").rglob("*.root"):
        path.unlink()
    give_up(dying)
    move(dying)
    for _ in range(8):
        clock.forward(hours=2)
        dying.sweep()
        evacuation_runner.evacuate(dying.ctx)
    with dying.ctx.begin.reading() as work:
        assert work.scalars(select(Incident.id).where(Incident.kind == "lost")) == []
        assert set(
            work.scalars(
                select(BlockReplica.complete)
                .join(Site, Site.id == BlockReplica.site_id)
                .where(Site.name == "T2_A")
            )
        ) == {True}
    monkeypatch.setattr(evacuation_status, "SHOWN", 3)
    told = left(dying)
    assert len(told["problems"]) == 3, "the others are only counted"
    assert told["stuck"] == {key: told["left"][key] for key in ("files", "bytes")}
    assert told["by_fate"].keys() == {"stuck"}


def test_a_site_that_an_operator_takes_back_keeps_what_it_has(dying: World) -> None:
    give_up(dying)
    move(dying)
    sites.update(dying.ctx, "T2_A", schemas.SiteBody(status="ready"), OPERATOR)  # type: ignore[arg-type]
    evacuation_runner.evacuate(dying.ctx)
    dying.work()
    assert len(dying.on_disk("T2_A")) == 10


def test_what_is_held_goes_on_when_it_is_released(dying: World, clock: Clock) -> None:
    request = dying.copy("T2_B", consolidate=False)
    hidden = dying.path("T2_A", lfn("T2_A_3.root"))
    content = hidden.read_bytes()
    hidden.write_bytes(b"bad")
    dying.work()
    for _ in range(8):
        clock.forward(minutes=70)
        dying.sweep()
    assert [one["reason"] for one in dying.problems("copy", request)] == ["no-source"]

    hidden.write_bytes(content)
    with dying.ctx.begin() as work:
        work.execute(Incident.__table__.delete())
    with pytest.raises(Forbidden):
        retry.release(dying.ctx, schemas.Release(request=request), BOB)
    with pytest.raises(Forbidden):
        retry.release(dying.ctx, schemas.Release(site="T2_B"), ALICE)
    with pytest.raises(NotFound):
        retry.release(dying.ctx, schemas.Release(request=999_999), OPERATOR)
    told = retry.release(dying.ctx, schemas.Release(request=request), ALICE)
    assert told["transfers"] == 1
    for _ in range(3):
        dying.work()
        clock.forward(minutes=2)
        dying.sweep()
    assert dying.request("copy", request)["state"] == "done"
    assert len(dying.on_disk("T2_B")) == 10


def test_a_site_that_the_settings_name_is_emptied_whatever_its_status(dying: World) -> None:
    dying.ctx = dying.with_settings(dealer={"leaving": ["T2_A"]}, deletion={"grace_hours": 0})
    assert left(dying)["evacuated"] is True
    move(dying)
    evacuation_runner.evacuate(dying.ctx)
    dying.work()
    assert dying.on_disk("T2_A") == {}
    assert len(dying.on_disk("T2_B")) + len(dying.on_disk("T2_C")) == 10


def test_a_copy_at_a_site_that_the_settings_name_does_not_make_another_dispensable(
    dying: World,
) -> None:
    dying.copy("T2_B", consolidate=False)
    dying.work()
    dying.ctx = dying.with_settings(dealer={"leaving": ["T2_A"]})
    with pytest.raises(Conflict):
        dying.delete(site="T2_B")
    give_up(dying, "T2_B")
    evacuation_runner.evacuate(dying.ctx)
    dying.work()
    assert dying.count(Deletion) == 0
    report = evacuation_status.losses(dying.ctx, "T2_A")["owners"]
    assert [one["only_here"]["files"] for one in report] == [10], "the other dies as well"
    assert report[0]["from"] == []


@pytest.mark.parametrize(
    "lines", ["On site.storage_type == DISK\nDismiss", "On site.status == READY\nProtect"]
)
def test_a_dying_site_is_emptied_also_of_what_no_policy_protects(dying: World, lines: str) -> None:
    when = "When site.occupancy > 0.9\nUntil site.occupancy < 0.85"
    text = f"Partition User\n{when}\n{lines}\nOrder none\n"
    policies.update(dying.ctx, "User", schemas.PolicyBody(text=text), OPERATOR)
    give_up(dying)
    detox(dying)
    move(dying)
    evacuation_runner.evacuate(dying.ctx)
    dying.work()
    assert dying.on_disk("T2_A") == {}
    assert len(dying.on_disk("T2_B")) + len(dying.on_disk("T2_C")) == 10


def test_a_dying_tape_site_is_emptied_though_no_partition_speaks_of_tape(
    dying: World, clock: Clock
) -> None:
    dying.site("T1_TAPE", kind="tape")
    dying.copy("T1_TAPE")
    dying.work()
    for _ in range(3):
        clock.forward(minutes=10)
        dying.sweep()
    assert dying.on_disk("T2_A") == {}
    give_up(dying, "T1_TAPE")
    detox(dying)
    move(dying)
    evacuation_runner.evacuate(dying.ctx)
    dying.work()
    assert dying.on_disk("T1_TAPE") == {}
    assert sum(len(dying.on_disk(site)) for site in ("T2_A", "T2_B", "T2_C")) == 10


def refusals(world: World) -> dict[str, int]:
    """Return why the last cycle copied nothing, and how many bytes that concerns."""
    told = left(world)
    assert told["by_fate"].keys() == {"refused"}
    assert told["stuck"] == {key: told["left"][key] for key in ("files", "bytes")}
    assert {one["dataset"] for one in told["problems"]} == {DATASET}
    return {f"{one['reason']}: {one['detail']}": one["bytes"] for one in told["problems"]}


def test_what_no_site_has_room_for_says_so(dying: World) -> None:
    for site in ("T2_B", "T2_C"):
        dying.site_quota(site, 10)
    give_up(dying)
    assert left(dying)["by_fate"].keys() == {"waiting"}, "no cycle has looked yet"
    move(dying)
    assert refusals(dying) == {"no-destination: no site that lacks it has room for it": 1100}


def test_what_no_site_may_take_says_so(dying: World) -> None:
    for site in ("T2_B", "T2_C"):
        dying.status(site, "waitroom")
    give_up(dying)
    move(dying)
    text = "not-a-target: no site with a quota for the partition User takes copies now"
    assert refusals(dying) == {text: 1100}


def test_what_is_not_copied_as_it_is_invalid_says_so(dying: World) -> None:
    with dying.ctx.begin() as work:
        work.changed(update(Dataset).values(status="invalid"))
    give_up(dying)
    move(dying)
    ((text, size),) = refusals(dying).items()
    assert text.startswith("not-valid: ")
    assert "delete it" in text
    assert size == 1100


def test_what_cannot_be_deleted_at_a_dead_site_says_so(dying: World, clock: Clock) -> None:
    dying.copy("T2_B", consolidate=False)
    dying.work()
    break_site(dying, "T2_A")
    give_up(dying)
    for _ in range(12):
        evacuation_runner.evacuate(dying.ctx)
        dying.work()
        clock.forward(hours=12)
        dying.sweep()
    told = left(dying)
    assert told["by_fate"]["stuck"]["files"] >= told["stuck"]["files"] > 0
    held = [one for one in told["problems"] if one["state"] == "held"]
    assert {one["reason"] for one in held} == {"destination-error"}
    assert all(one["detail"] and one["next_try"] for one in told["problems"])
    mend_site(dying, "T2_A")


def test_a_copy_elsewhere_that_fails_hinders_nothing_that_is_safe(
    dying: World, clock: Clock
) -> None:
    dying.copy("T2_C", consolidate=False)
    dying.work()
    break_site(dying, "T2_B")
    dying.copy("T2_B", consolidate=False)
    dying.work()
    for _ in range(10):
        clock.forward(hours=2)
        dying.sweep()
    with dying.ctx.begin() as work:  # they read from the other copy
        work.changed(update(BlockReplica).values(in_use=0))
        work.changed(update(Transfer).values(source_id=None))
    give_up(dying)
    assert left(dying)["by_fate"].keys() == {"safe"}
    assert left(dying)["stuck"]["files"] == 0
    mend_site(dying, "T2_B")


def test_too_many_unreadable_files_are_lost_when_an_operator_says_so(
    dying: World, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    dying.ctx = dying.with_settings(
        block={"max_files": 5}, retry={"first_seconds": 1}, consistency={"few": 3}
    )
    monkeypatch.setattr(declare_lost, "MOST", 4)
    for n in range(10):
        dying.path("T2_A", lfn(f"T2_A_{n}.root")).write_bytes(b"rotten")
    with pytest.raises(Conflict):
        declare_lost.declare(dying.ctx, "T2_A", OPERATOR)
    with pytest.raises(NotFound):
        declare_lost.declare(dying.ctx, "T2_X", OPERATOR)
    give_up(dying)
    move(dying)
    for _ in range(8):
        clock.forward(hours=2)
        dying.sweep()
        evacuation_runner.evacuate(dying.ctx)
    assert lost(dying) == []

    told = [declare_lost.declare(dying.ctx, "T2_A", OPERATOR) for _ in range(4)]

    assert [(one["lost"], one["more"]) for one in told] == [
        *((4, True), (4, True), (2, False), (0, False))
    ]
    assert lost(dying) == sorted(lfn(f"T2_A_{n}.root") for n in range(10))
    dying.delete()
    dying.work()
    for _ in range(3):
        clock.forward(hours=25)
        dying.sweep()
    assert left(dying)["left"]["blocks"] == 0


def test_a_dead_site_is_given_up_when_an_operator_says_so(dying: World, clock: Clock) -> None:
    dying.site("T1_TAPE", kind="tape")
    dying.many("T2_A", 3, start=20, dataset="/Higgs/alice-v2/USER")
    dying.close("/Higgs/alice-v2/USER")
    dying.work()
    dying.copy("T1_TAPE", consolidate=False)
    dying.work()
    break_site(dying, "T2_A")
    give_up(dying)
    dying.copy("T2_B", consolidate=False)
    dying.work()
    for _ in range(6):
        move(dying)
        clock.forward(hours=12)
        dying.sweep()

    declare_lost.declare(dying.ctx, "T2_A", OPERATOR)

    assert lost(dying) == sorted(lfn(f"T2_A_{n}.root") for n in range(20, 23))
    mend_site(dying, "T2_A")


@pytest.mark.parametrize("first", ["waitroom", "morgue"])
def test_what_a_job_has_confirmed_leaves_a_dying_site_too(
    world: World, clock: Clock, first: str
) -> None:
    """It lies at the upload address alone: nobody else has it."""
    request = world.book("T2_A", "out.root", b"events")
    world.upload(request, b"events")
    world.status("T2_A", first)
    world.confirm(request)
    world.work()
    give_up(world)
    world.sweep()
    assert world.request("injection", request)["state"] == "done"
    rounds(world, clock, 4)

    assert world.on_disk("T2_A") == {}
    assert list({**world.on_disk("T2_B"), **world.on_disk("T2_C")}.values()) == [b"events"]


@pytest.mark.parametrize("n", [1, 10], ids=["file", "site"])
def test_what_cannot_be_read_at_a_dying_site_comes_from_tape(
    world: World, clock: Clock, n: int
) -> None:
    world.site("T1_TAPE", kind="tape")
    world.many("T2_A", n)
    world.close()
    world.work()
    world.copy("T1_TAPE", consolidate=False)
    world.work()
    request = world.copy("T2_B", consolidate=False)
    break_site(world, "T2_A")
    give_up(world)
    world.work()
    for _ in range(4):
        clock.forward(hours=2)
        world.sweep()

    assert world.request("copy", request)["state"] == "done"
    assert len(world.on_disk("T2_B")) == n
    mend_site(world, "T2_A")


def test_what_an_operator_has_stopped_is_not_lost(dying: World, clock: Clock) -> None:
    give_up(dying)
    switches.update(dying.ctx, of_site("T2_A"), schemas.SwitchBody(stopped=True), OPERATOR)
    move(dying)
    clock.forward(hours=2)
    dying.sweep()
    assert declare_lost.declare(dying.ctx, "T2_A", OPERATOR)["lost"] == 0
    assert lost(dying) == []


@pytest.mark.parametrize("switch", ["dealer", "deletions", "site:T2_A"])
def test_an_evacuation_that_an_operator_has_stopped_says_so(dying: World, switch: str) -> None:
    give_up(dying)
    assert left(dying)["stopped"] == []
    for name in (switch, "injection", "site:T2_B"):
        switches.update(dying.ctx, name, schemas.SwitchBody(stopped=True), OPERATOR)

    assert left(dying)["stopped"] == [switch]


def test_a_site_that_failed_for_a_moment_loses_nothing(dying: World) -> None:
    dying.ctx = dying.with_settings(retry={"first_seconds": 20}, work={"batch": 3})
    give_up(dying)
    cycles_submission.file(
        dying.ctx, schemas.CycleBody(kind="dealer", partition="User", dry_run=False), OPERATOR
    )
    break_site(dying, "T2_A")
    dying.work()

    assert declare_lost.declare(dying.ctx, "T2_A", OPERATOR)["lost"] == 0

    mend_site(dying, "T2_A")
    assert declare_lost.declare(dying.ctx, "T2_A", OPERATOR)["lost"] == 0


def test_a_site_that_does_not_answer_the_last_look_loses_nothing(
    dying: World, clock: Clock
) -> None:
    give_up(dying)
    cycles_submission.file(
        dying.ctx, schemas.CycleBody(kind="dealer", partition="User", dry_run=False), OPERATOR
    )
    root = dying.folder / "T2_A"
    root.rename(root.with_name("not-mounted"))
    root.mkdir()
    dying.work()
    clock.forward(hours=13)
    dying.sweep()
    assert evacuation_status.losses(dying.ctx, "T2_A")["unread"]["files"] == 10
    root.rmdir()

    told = declare_lost.declare(dying.ctx, "T2_A", OPERATOR)

    assert (told["lost"], told["unsure"]) == (0, 10)
    assert lost(dying) == []


@pytest.mark.parametrize("fault", ["site", "files"])
def test_a_site_that_has_come_back_loses_nothing(dying: World, clock: Clock, fault: str) -> None:
    root = dying.folder / "T2_A"
    give_up(dying)
    cycles_submission.file(
        dying.ctx, schemas.CycleBody(kind="dealer", partition="User", dry_run=False), OPERATOR
    )
    if fault == "site":
        break_site(dying, "T2_A")
    else:
        root.rename(root.with_name("not-mounted"))
        root.mkdir()
    dying.work()
    for _ in range(16):
        clock.forward(hours=1)
        dying.sweep()
    assert evacuation_status.losses(dying.ctx, "T2_A")["unread"]["files"] == 10

    if fault == "site":
        mend_site(dying, "T2_A")
    else:
        shutil.rmtree(root)
        root.with_name("not-mounted").rename(root)
    dying.path("T2_A", lfn("T2_A_3.root")).unlink()
    told = declare_lost.declare(dying.ctx, "T2_A", OPERATOR)

    assert (told["lost"], told["kept"]) == (1, 9)
    assert lost(dying) == [lfn("T2_A_3.root")]
    rounds(dying, clock, 4)
    assert dying.on_disk("T2_A") == {}
    assert len(dying.on_disk("T2_B")) + len(dying.on_disk("T2_C")) == 9
