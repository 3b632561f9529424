"""How data leave: condemned under the guard, rescuable for a while, then gone."""

from threading import Thread
from typing import Any

import pytest
from sqlalchemy import select, update

from dynamo import points
from dynamo.db.engine.unit_of_work import Work
from dynamo.db.tables import Block, BlockReplica, Dataset, Deletion, File, Request, Site, Switch
from dynamo.db.work import claims
from dynamo.db.work.claims import Holder
from dynamo.errors import Conflict, Forbidden
from dynamo.inventory.states import RequestKind
from dynamo.points import Point
from dynamo.services import cancellation
from dynamo.services.deletions import condemnation
from dynamo.services.maintenance import invariants, sweeper
from tests.conftest import Clock
from tests.services.world import ALICE, BOB, DATASET, World, lfn
from tests.steps.sites import break_site, mend_site


@pytest.fixture
def placed(world: World) -> World:
    """Seven files in two closed blocks at T2_A."""
    world.many("T2_A", 7)
    world.work()
    world.close()
    world.work()
    return world


def test_condemned_data_stay_readable_for_the_grace_time_and_then_go(placed: World, clock: Clock):
    request = placed.delete()
    placed.work()
    assert len(placed.on_disk("T2_A")) == 7
    assert placed.used("alice") == 0  # condemned bytes leave the user's quota at once
    assert placed.projected("T2_A") > 0  # the site's when they are gone

    clock.forward(hours=25)
    placed.sweep()

    assert placed.on_disk("T2_A") == {}
    assert placed.request("deletion", request)["state"] == "done"
    assert [placed.count(table) for table in (Dataset, Block, File, BlockReplica, Deletion)] == [
        0
    ] * 5
    assert placed.projected("T2_A") == 0


def test_condemned_data_can_be_rescued(placed: World, clock: Clock):
    before = placed.used("alice")
    request = placed.delete()
    placed.work()

    cancellation.cancel(placed.ctx, RequestKind.DELETION, request, ALICE)
    clock.forward(hours=25)
    placed.sweep()

    assert len(placed.on_disk("T2_A")) == 7
    assert placed.used("alice") == before
    assert placed.count(Deletion) == 0


def test_what_is_gone_cannot_be_rescued(placed: World, clock: Clock):
    request = placed.delete()
    placed.work()
    clock.forward(hours=25)
    placed.sweep()

    with pytest.raises(Conflict) as refused:
        cancellation.cancel(placed.ctx, RequestKind.DELETION, request, ALICE)
    assert refused.value.reason == "already-ended"


def test_the_last_copy_at_a_site_is_refused(placed: World):
    with pytest.raises(Conflict) as refused:
        placed.delete(site="T2_A")
    assert refused.value.reason == "last-copy"


def test_with_the_last_copy_at_a_site_the_names_leave_too(placed: World, clock: Clock):
    request = placed.delete(site="T2_A", last_copy=True)
    placed.work()
    assert placed.used("alice") == 0

    clock.forward(hours=25)
    placed.sweep()

    assert placed.request("deletion", request)["state"] == "done"
    assert placed.on_disk("T2_A") == {}
    assert placed.count(File) == 0


def test_the_last_copy_that_goes_from_one_site_stays_where_it_lies_elsewhere(
    placed: World, clock: Clock
):
    placed.copy("T2_B", consolidate=False)
    placed.work()
    with placed.ctx.begin() as work:
        work.changed(update(Site).where(Site.name == "T2_B").values(status="waitroom"))

    placed.delete(site="T2_A", last_copy=True)
    placed.work()
    clock.forward(hours=25)
    placed.sweep()

    assert placed.on_disk("T2_A") == {}
    assert len(placed.on_disk("T2_B")) == placed.count(File) == 7


def test_what_a_dead_worker_may_have_deleted_cannot_be_rescued(placed: World, clock: Clock):
    request = placed.delete()
    placed.work()
    clock.forward(hours=25)
    with placed.ctx.begin() as work:
        ids = work.scalars(select(Deletion.id))
        claims.claim(work, Deletion, ids, Holder("killed", 30))
    for name in list(placed.on_disk("T2_A")):
        placed.path("T2_A", name).unlink()
    clock.forward(minutes=2)
    sweeper.sweep(placed.ctx)  # queued again, and not yet taken

    with pytest.raises(Conflict) as refused:
        cancellation.cancel(placed.ctx, RequestKind.DELETION, request, ALICE)
    assert refused.value.reason == "already-ended"
    placed.work()
    assert placed.request("deletion", request)["state"] == "done"


def test_what_leaves_with_its_block_is_not_taken_out_a_second_time(placed: World, clock: Clock):
    placed.delete()
    placed.work()
    placed.delete(lfns=(lfn("T2_A_0.root"),))
    placed.work()
    assert placed.used("alice") == 0
    assert [str(found) for found in invariants.check(placed.ctx) if not found.is_warning] == []

    clock.forward(hours=25)
    placed.sweep()
    assert placed.count(File) == placed.count(Dataset) == 0


def test_a_block_goes_with_the_last_of_its_files_however_they_were_condemned(
    placed: World, clock: Clock
):
    """Two files alone first, the rest with the dataset an hour later: every count is right."""
    placed.delete(lfns=(lfn("T2_A_5.root"), lfn("T2_A_6.root"), lfn("T2_A_0.root")))
    placed.work()
    clock.forward(hours=1)
    placed.ctx = placed.with_settings(deletion={"grace_hours": 0})
    placed.delete()
    placed.work()
    assert [str(found) for found in invariants.check(placed.ctx) if not found.is_warning] == []

    clock.forward(hours=24)
    placed.sweep()
    assert placed.on_disk("T2_A") == {}
    assert placed.count(File) == placed.count(Block) == placed.count(Dataset) == 0


def test_an_injection_counts_a_file_once_that_was_condemned_rescued_and_then_arrived(
    world: World, clock: Clock
):
    injected = world.many("T2_A", 2)
    world.published.clear()
    deletion = world.delete(lfns=(lfn("T2_A_0.root"),))
    world.step("condemn")
    world.published.clear()
    assert world.request("injection", injected)["progress"]["files"]["failed"] == 1  # type: ignore[index]
    cancellation.cancel(world.ctx, RequestKind.DELETION, deletion, ALICE)

    clock.forward(minutes=2)
    world.sweep()

    shown = world.request("injection", injected)
    assert shown["state"] == "done"
    assert shown["progress"]["files"] == {"total": 2, "done": 2, "failed": 0}  # type: ignore[index]


def test_one_of_two_copies_may_go(placed: World, clock: Clock):
    placed.copy("T2_B", consolidate=False)
    placed.work()
    placed.delete(site="T2_A")
    placed.work()
    clock.forward(hours=25)
    placed.sweep()

    assert placed.on_disk("T2_A") == {}
    assert len(placed.on_disk("T2_B")) == 7


def test_a_copy_at_a_site_that_is_not_ready_does_not_count(placed: World):
    placed.copy("T2_B", consolidate=False)
    placed.work()
    with placed.ctx.begin() as work:
        work.changed(update(Site).where(Site.name == "T2_B").values(status="waitroom"))

    with pytest.raises(Conflict):
        placed.delete(site="T2_A")


def test_a_condemned_copy_no_longer_counts(placed: World):
    placed.copy("T2_B", consolidate=False)
    placed.work()
    placed.delete(site="T2_A")
    placed.work()

    with pytest.raises(Conflict) as refused:
        placed.delete(site="T2_B")
    assert refused.value.reason == "last-copy"


def test_single_files_are_dropped_and_their_block_goes_on(placed: World, clock: Clock):
    name = lfn("T2_A_0.root")
    placed.delete(lfns=(name,))
    placed.work()
    assert sorted(n for n, _ in placed.blocks()) == [2, 4]

    clock.forward(hours=25)
    placed.sweep()

    assert name not in placed.on_disk("T2_A")
    assert len(placed.on_disk("T2_A")) == 6
    assert placed.count(File) == 6


def test_a_dropped_file_can_be_rescued(placed: World, clock: Clock):
    request = placed.delete(lfns=(lfn("T2_A_0.root"),))
    placed.work()
    cancellation.cancel(placed.ctx, RequestKind.DELETION, request, ALICE)
    clock.forward(hours=25)
    placed.sweep()

    assert len(placed.on_disk("T2_A")) == 7
    assert sorted(placed.blocks()) == [(2, True), (5, True)]


def test_a_file_that_had_not_come_when_it_was_dropped_is_still_awaited_once_rescued(
    world: World, clock: Clock
):
    world.many("T2_A", 2)
    source = world.output_path("T2_A", "T2_A_0.root")
    content = source.read_bytes()
    source.unlink()
    world.close()
    world.work()
    deletion = world.delete(lfns=(lfn("T2_A_0.root"),))
    world.step("condemn")
    cancellation.cancel(world.ctx, RequestKind.DELETION, deletion, ALICE)
    assert world.replicas() == [("T2_A", 1, False)]
    assert world.projected("T2_A") == world.used("alice") == 2 * len(content)

    source.write_bytes(content)
    clock.forward(hours=2)
    world.sweep()

    assert world.replicas() == [("T2_A", 2, True)]
    assert len(world.on_disk("T2_A")) == 2
    assert [str(one) for one in invariants.check(world.ctx)] == []


def test_a_copy_that_was_completed_without_a_dropped_file_gets_it_once_it_is_rescued(
    world: World, clock: Clock
):
    world.many("T2_A", 2)
    world.close()
    world.work()
    name = lfn("T2_A_0.root")
    content = world.path("T2_A", name).read_bytes()
    world.path("T2_A", name).write_bytes(b"unreadable")
    world.copy("T2_B", consolidate=False)
    world.work()
    deletion = world.delete(lfns=(name,))
    world.step("condemn")
    assert world.replicas() == [("T2_A", 1, True), ("T2_B", 1, True)]

    world.path("T2_A", name).write_bytes(content)
    cancellation.cancel(world.ctx, RequestKind.DELETION, deletion, ALICE)
    assert world.replicas() == [("T2_A", 2, True), ("T2_B", 1, False)]
    clock.forward(hours=25)
    world.sweep()

    assert world.replicas() == [("T2_A", 2, True), ("T2_B", 2, True)]
    assert world.on_disk("T2_B") == world.on_disk("T2_A")
    assert [str(one) for one in invariants.check(world.ctx)] == []


def test_an_empty_file_that_lay_there_lies_there_once_it_is_rescued(world: World):
    world.inject("T2_A", [world.pulled("T2_A", "empty.root", b"")])
    world.close()
    world.work()
    world.copy("T2_B", consolidate=False)
    world.work()
    deletion = world.delete(lfns=(lfn("empty.root"),))
    world.step("condemn")

    cancellation.cancel(world.ctx, RequestKind.DELETION, deletion, ALICE)

    assert world.replicas() == [("T2_A", 1, True), ("T2_B", 1, True)]


@pytest.mark.parametrize("condemned", [False, True])
@pytest.mark.parametrize("named", [False, True])
def test_what_comes_to_a_site_after_its_data_were_given_up_there_stays(
    world: World, clock: Clock, condemned: bool, named: bool
):
    world.many("T2_A", 1)
    world.work()
    blocks = tuple(world.block_names()) if named else None
    request = world.delete(site="T2_A", last_copy=True, blocks=blocks)
    if condemned:
        world.work()
    world.inject("T2_A", [world.pulled("T2_A", "later.root", b"later")])
    world.work()
    for _ in range(3):
        clock.forward(hours=13)
        world.sweep()

    assert world.on_disk("T2_A") == {lfn("later.root"): b"later"}
    assert world.request("deletion", request)["state"] == "done"


def test_a_deletion_that_is_cancelled_while_it_is_carried_out_condemns_nothing_more(
    placed: World, clock: Clock, monkeypatch: pytest.MonkeyPatch
):
    def cancel(point: Point) -> None:
        if point is Point.CONDEMNED and placed.request("deletion", request)["state"] == "running":
            cancellation.cancel(placed.ctx, RequestKind.DELETION, request, ALICE)

    monkeypatch.setattr(condemnation, "BLOCKS_AT_ONCE", 1)
    monkeypatch.setattr(points, "_watch", cancel)
    request = placed.delete()
    placed.work()
    clock.forward(hours=25)
    placed.sweep()

    assert placed.request("deletion", request)["state"] == "cancelled"
    assert placed.count(Deletion) == 0
    assert len(placed.on_disk("T2_A")) == 7


@pytest.mark.parametrize("engine", ["mariadb"], indirect=True)
def test_what_is_being_condemned_when_a_deletion_is_cancelled_is_rescued_too(
    placed: World, clock: Clock, monkeypatch: pytest.MonkeyPatch
):
    """The unit of work that condemns has not ended: nobody else sees yet what it has done."""
    cancelling: list[Thread] = []
    count = condemnation._count

    def cancel_meanwhile(work: Work, request_id: int, n_files: int) -> None:
        if not cancelling:
            call = (placed.ctx, RequestKind.DELETION, request_id, ALICE)
            cancelling.append(Thread(target=cancellation.cancel, args=call))
            cancelling[0].start()
            cancelling[0].join(0.5)
        count(work, request_id, n_files)

    monkeypatch.setattr(condemnation, "_count", cancel_meanwhile)
    request = placed.delete()
    placed.work()
    cancelling[0].join()
    clock.forward(hours=25)
    placed.sweep()

    assert placed.request("deletion", request)["state"] == "cancelled"
    assert placed.count(Deletion) == 0
    assert len(placed.on_disk("T2_A")) == 7


def test_only_the_owner_deletes(placed: World):
    with pytest.raises(Forbidden):
        placed.delete(by=BOB)


def test_a_stop_switch_holds_deletions_back_until_it_is_released(placed: World, clock: Clock):
    with placed.ctx.begin() as work:
        work.add(Switch, name="deletions", stopped=True, who="root", why="drill", at=work.now)
    request = placed.delete()
    placed.work()
    clock.forward(hours=25)
    placed.sweep()
    assert len(placed.on_disk("T2_A")) == 7

    with placed.ctx.begin() as work:
        work.changed(update(Switch).values(stopped=False))
    clock.forward(minutes=5)
    placed.sweep()
    clock.forward(hours=25)
    placed.sweep()
    assert placed.on_disk("T2_A") == {}
    assert placed.request("deletion", request)["state"] == "done"


def test_a_source_that_is_read_stays_also_between_retries(placed: World, clock: Clock):
    placed.copy("T2_C", consolidate=False)
    placed.work()
    placed.copy("T2_B", consolidate=False)
    placed.step("plan")
    with placed.ctx.begin() as work:
        read = work.row(
            select(BlockReplica.site_id, Site.name)
            .join(Site, Site.id == BlockReplica.site_id)
            .where(BlockReplica.in_use > 0)
        )
    site = read.name
    for _ in range(3):
        placed.published.clear()
        placed.delete(site=site)
        placed.step("condemn")

    assert len(placed.on_disk(site)) == 7
    placed.sweep()
    clock.forward(minutes=5)
    placed.sweep()
    assert len(placed.on_disk("T2_B")) == 7


def test_deleting_while_files_arrive_leaves_nothing_behind(world: World, clock: Clock):
    world.many("T2_A", 7)
    world.published.clear()
    world.delete()
    world.work()
    clock.forward(hours=25)
    world.sweep()

    assert world.on_disk("T2_A") == {}
    assert [world.count(table) for table in (Dataset, Block, File)] == [0] * 3
    assert world.used("alice") == 0
    assert world.projected("T2_A") == 0


def test_the_name_of_removed_data_is_free_again(placed: World, clock: Clock):
    placed.delete()
    placed.work()
    with pytest.raises(Conflict) as refused:
        placed.many("T2_B", 1)
    assert refused.value.reason == "being-deleted"
    clock.forward(hours=25)
    placed.sweep()

    placed.inject("T2_B", [placed.pulled("T2_B", "T2_A_0.root", b"anew")], DATASET)
    placed.work()

    assert placed.on_disk("T2_B") == {lfn("T2_A_0.root"): b"anew"}


def test_a_deletion_of_which_all_that_is_left_is_held_says_why(world: World, clock: Clock):
    world.many("T2_A", 1)
    world.close()
    world.work()
    request = world.delete()
    world.work()
    break_site(world, "T2_A")
    for _ in range(8):
        clock.forward(hours=25)
        world.sweep()
    assert told(world, request)[:2] == ("held", "destination-error")
    assert told(world, request).detail

    mend_site(world, "T2_A")
    clock.forward(hours=25)
    world.sweep()
    assert world.on_disk("T2_A") == {}
    assert told(world, request)[:2] == ("done", None)


def told(world: World, request: int) -> Any:
    with world.ctx.begin.reading() as work:
        columns = (Request.state, Request.reason, Request.detail)
        return work.row(select(*columns).where(Request.id == request))
