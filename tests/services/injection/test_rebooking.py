"""Jobs that come again, perhaps at another site, while what they registered first has not come."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from sqlalchemy import select

from dynamo.db.tables import Block, BlockReplica, History, Transfer
from dynamo.db.work import claims
from dynamo.db.work.claims import Holder
from dynamo.errors import Conflict, Forbidden, Full
from dynamo.inventory import schemas
from dynamo.inventory.states import RequestKind
from dynamo.services import cancellation
from dynamo.services.consistency import scans
from dynamo.services.injection import rebooking
from dynamo.services.injection import submission as injection_submission
from dynamo.services.maintenance import sweeper
from dynamo.services.transfers import late_booking
from dynamo.storage import copier
from tests.conftest import Clock
from tests.services.world import ALICE, OPERATOR, World, adler32, lfn

OUT = lfn("out.root")
EVENTS = b"events"


def described(source: str) -> schemas.InjectedFile:
    """Describe the output that lies at a source."""
    return schemas.InjectedFile(lfn=OUT, size=len(EVENTS), adler32=adler32(EVENTS), source=source)


def lost(world: World, site: str, content: bytes = EVENTS) -> schemas.InjectedFile:
    """Describe an output whose scratch folder went with its job."""
    file = world.pulled(site, "out.root", content)
    world.output_path(site, "out.root").unlink()
    return file


def nothing_told(world: World) -> schemas.InjectedFile:
    """Describe an output of unknown size whose scratch folder went with its job."""
    source = world.output("T2_A", "first.root", EVENTS)
    world.output_path("T2_A", "first.root").unlink()
    return schemas.InjectedFile(lfn=OUT, source=source)


def address(world: World, request: int) -> str:
    """Return where a request's only file is to be written."""
    [file] = world.request("injection", request)["files"]  # type: ignore[misc]
    return str(file["upload_url"])


def told(world: World, request: int) -> str | None:
    """Return the address that a request names for its only file, if it names one."""
    [file] = world.request("injection", request)["files"]  # type: ignore[misc]
    return file["upload_url"]  # type: ignore[no-any-return]


def place(world: World) -> tuple[int, int]:
    """Return the bytes that are booked at A and at B."""
    return world.projected("T2_A"), world.projected("T2_B")


@pytest.mark.parametrize("tried", [False, True])
def test_an_output_that_a_job_hands_over_again_at_another_site_is_fetched_there(
    world: World, clock: Clock, tried: bool
):
    first = world.inject("T2_A", [lost(world, "T2_A")])
    if tried:
        world.work()
        for _ in range(8):
            clock.forward(minutes=50)
            world.sweep()
        assert world.request("injection", first)["state"] == "held"

    again = world.inject("T2_B", [world.pulled("T2_B", "out.root", EVENTS)])
    assert place(world) == (0, len(EVENTS))
    assert world.used("alice") == len(EVENTS)
    world.work()

    assert world.on_disk("T2_B") == {OUT: EVENTS}
    assert world.on_disk("T2_A") == {}
    assert world.request("injection", again)["state"] == "done"
    assert world.request("injection", first)["state"] == "done"


def test_a_new_source_at_the_same_site_replaces_the_one_that_waits(world: World):
    world.inject("T2_A", [lost(world, "T2_A")])
    source = world.output("T2_A", "second-life.root", EVENTS)

    again = world.inject("T2_A", [described(source)])
    world.work()

    assert world.request("injection", again)["state"] == "done"
    assert world.on_disk("T2_A") == {OUT: EVENTS}


def test_a_booking_that_a_job_makes_again_at_another_site_is_written_there(
    world: World, clock: Clock
):
    first = world.book("T2_A", "out.root", EVENTS)
    before = address(world, first)
    world.upload(first, b"half of")

    again = world.book("T2_B", "out.root", EVENTS)
    assert address(world, again) != before
    assert str(world.folder / "T2_B") in address(world, again)
    assert Path(address(world, again).removeprefix("file://")).parent.is_dir()
    world.upload(again, EVENTS)
    world.confirm(again)
    world.work()

    assert world.on_disk("T2_B") == {OUT: EVENTS}
    assert world.request("injection", first)["state"] == "done"
    assert place(world) == (0, len(EVENTS))
    clock.forward(days=30)
    scans.file(world.ctx, schemas.ScanBody(site="T2_A"), OPERATOR)
    world.work()
    assert world.on_disk("T2_A") == {}, "what the first life has left is cleaned up"


def test_a_first_life_cannot_confirm_what_a_second_was_told_to_write_elsewhere(world: World):
    first = world.book("T2_A", "out.root", EVENTS)
    second = world.book("T2_B", "out.root", EVENTS)

    for lfns in (None, [OUT]):
        with pytest.raises(Conflict, match="booked anew by another run") as refused:
            injection_submission.uploaded(world.ctx, first, lfns, ALICE)
        assert refused.value.reason == "booking-expired"

    third = world.book("T2_A", "out.root", EVENTS)
    world.upload(third, EVENTS)
    world.confirm(third)
    world.work()
    assert world.on_disk("T2_A") == {OUT: EVENTS}
    with pytest.raises(Conflict):
        world.confirm(second)


def test_a_second_life_that_was_told_the_same_address_leaves_the_first_one_its_own(world: World):
    first = world.book("T2_A", "out.root", EVENTS)
    second = world.book("T2_A", "out.root", EVENTS)
    assert address(world, second) == address(world, first)
    world.upload(first, EVENTS)
    world.confirm(first)
    world.work()

    assert world.request("injection", second)["state"] == "done"


def test_booking_again_makes_the_folder_that_a_storage_that_was_away_did_not(world: World):
    root, away = world.folder / "T2_A", world.folder / "unmounted"
    root.rename(away)
    world.book("T2_A", "out.root", EVENTS)
    away.rename(root)

    again = world.book("T2_A", "out.root", EVENTS)

    assert Path(address(world, again).removeprefix("file://")).parent.is_dir()


def test_bytes_that_were_confirmed_are_awaited_and_the_second_life_is_told(
    world: World, clock: Clock
):
    first = world.book("T2_A", "out.root", EVENTS)
    world.upload(first, EVENTS)
    world.confirm(first)
    root, away = world.folder / "T2_A", world.folder / "unmounted"
    root.rename(away)
    world.work()

    again = world.inject("T2_B", [world.pulled("T2_B", "out.root", EVENTS)])
    world.work()
    assert place(world) == (len(EVENTS), 0)
    assert told(world, again) is None
    away.rename(root)
    clock.forward(hours=2)
    world.sweep()

    assert world.request("injection", again)["state"] == "done"
    assert world.on_disk("T2_A") == {OUT: EVENTS}


@pytest.mark.parametrize("confirmed", [False, True])
def test_who_comes_again_to_a_site_that_was_away_keeps_what_was_uploaded(
    world: World, clock: Clock, confirmed: bool
):
    first = world.book("T2_A", "out.root", EVENTS)
    world.upload(first, EVENTS)
    if confirmed:
        world.confirm(first)
    root, away = world.folder / "T2_A", world.folder / "unmounted"
    root.rename(away)
    clock.forward(hours=23)
    for _ in range(15):
        clock.forward(hours=2)
        world.sweep()
        if world.request("injection", first)["state"] == "held":
            break
    before = address(world, first)

    again = world.book("T2_A", "out.root", EVENTS)
    assert address(world, again) == before
    away.rename(root)
    clock.forward(hours=25)
    world.sweep()

    assert world.request("injection", again)["state"] == "done"
    assert world.on_disk("T2_A") == {OUT: EVENTS}


def test_a_confirmation_of_nothing_does_not_bind_the_second_life(world: World):
    first = world.book("T2_A", "out.root", EVENTS)
    world.confirm(first)
    world.work()
    assert world.problems("injection", first)[0]["reason"] == "not-uploaded"

    again = world.inject("T2_B", [world.pulled("T2_B", "out.root", EVENTS)])
    world.work()

    assert world.request("injection", again)["state"] == "done"
    assert world.on_disk("T2_B") == {OUT: EVENTS}


def test_what_is_there_already_is_told_wherever_the_job_comes_again(world: World):
    world.inject("T2_A", [world.pulled("T2_A", "out.root", EVENTS)])
    world.work()

    again = world.inject("T2_B", [lost(world, "T2_B")])

    shown = world.request("injection", again)
    assert shown["state"] == "done"
    assert [(f["site"], f["safe_to_delete"]) for f in shown["files"]] == [("T2_A", True)]  # type: ignore[attr-defined]


def test_what_a_worker_has_in_hand_is_refused_at_once_and_may_be_asked_again(world: World):
    file = world.pulled("T2_A", "out.root", EVENTS)
    first = world.inject("T2_A", [file])
    with world.ctx.begin() as work:
        ids = work.scalars(select(Transfer.id))
        assert claims.claim(work, Transfer, ids, Holder("a worker", 30))

    with pytest.raises(Conflict) as refused:
        world.inject("T2_B", [world.pulled("T2_B", "out.root", EVENTS)])
    assert (refused.value.reason, refused.value.retryable) == ("in-use", True)
    assert refused.value.faults[0].lfn == OUT
    assert world.inject("T2_A", [file]) != first, "the same call again is no error"


def test_a_closed_dataset_still_takes_what_was_registered_before_at_another_site(world: World):
    kept = world.pulled("T2_A", "kept.root", b"kept")
    world.inject("T2_A", [lost(world, "T2_A"), kept])
    closure = world.close()
    world.work()
    assert world.request("closure", closure)["state"] != "done"

    world.inject("T2_B", [world.pulled("T2_B", "out.root", EVENTS)])
    world.work()
    world.sweep()
    world.work()

    assert world.on_disk("T2_B") == {OUT: EVENTS}
    assert world.request("closure", closure)["state"] == "done"
    assert world.blocks() == [(1, True), (1, True)]
    assert world.count(BlockReplica, BlockReplica.complete.is_(False)) == 0


def test_a_closed_block_that_its_only_file_leaves_is_forgotten(world: World):
    world.inject("T2_A", [lost(world, "T2_A")])
    world.close()
    world.work()

    world.inject("T2_B", [world.pulled("T2_B", "out.root", EVENTS)])
    world.work()

    assert world.count(Block) == 1
    assert world.on_disk("T2_B") == {OUT: EVENTS}


def test_a_copy_that_waits_for_the_file_does_not_wait_for_it_in_its_old_block(
    world: World, clock: Clock
):
    world.inject("T2_A", [lost(world, "T2_A"), world.pulled("T2_A", "kept.root", b"kept")])
    world.close()
    copy = world.copy("T2_B")
    world.work()

    world.inject("T2_B", [world.pulled("T2_B", "out.root", EVENTS)])
    for _ in range(5):
        world.work()
        clock.forward(minutes=5)
        world.sweep()

    assert world.request("copy", copy)["state"] == "done"
    assert world.on_disk("T2_B") == {OUT: EVENTS, lfn("kept.root"): b"kept"}
    assert world.on_disk("T2_A") == {}


def test_a_full_site_refuses_the_second_life_and_the_first_stays_as_it_was(world: World):
    world.inject("T2_A", [lost(world, "T2_A")])
    world.site_quota("T2_B", 5)

    with pytest.raises(Full) as refused:
        world.inject("T2_B", [world.pulled("T2_B", "out.root", EVENTS)])

    assert refused.value.alternatives == ["T2_C", "T2_A"]
    assert place(world) == (len(EVENTS), 0)


def test_a_source_of_the_second_life_is_checked_against_its_site(world: World):
    world.inject("T2_A", [lost(world, "T2_A")])

    with pytest.raises(Forbidden) as refused:
        world.inject("T2_B", [world.pulled("T2_A", "out.root", EVENTS)])

    assert refused.value.reason == "source-not-allowed"
    assert place(world) == (len(EVENTS), 0)


@pytest.mark.parametrize("second", ["T2_A", "T2_B"])
def test_a_file_of_unknown_size_may_be_uploaded_by_the_second_life(world: World, second: str):
    world.inject("T2_A", [nothing_told(world)])
    world.work()
    assert world.used("alice") == 0

    again = world.book(second, "out.root", EVENTS)
    assert world.used("alice") == world.projected(second) == len(EVENTS)
    world.upload(again, EVENTS)
    world.confirm(again)
    world.work()

    assert world.request("injection", again)["state"] == "done"
    assert world.on_disk(second) == {OUT: EVENTS}


def test_a_file_of_unknown_size_is_read_at_the_source_of_the_second_life(world: World):
    source = world.output("T2_A", "out.root", b"other events")
    world.inject("T2_A", [schemas.InjectedFile(lfn=OUT, source=source)])
    here = world.output("T2_B", "out.root", EVENTS)

    again = world.inject("T2_B", [schemas.InjectedFile(lfn=OUT, source=here)])
    world.work()

    assert world.request("injection", again)["state"] == "done"
    assert place(world) == (0, len(EVENTS))
    assert world.on_disk("T2_B") == {OUT: EVENTS}


def test_a_call_may_name_new_files_and_such_of_an_earlier_life(world: World):
    world.inject("T2_A", [lost(world, "T2_A"), world.pulled("T2_A", "there.root", b"there")])
    world.work()
    new = [world.pulled("T2_B", "out.root", EVENTS), world.pulled("T2_B", "new.root", b"new")]

    again = world.inject("T2_B", [*new, world.pulled("T2_B", "there.root", b"there")])
    world.work()

    shown = world.request("injection", again)
    assert shown["progress"]["files"] == {"total": 3, "done": 3, "failed": 0}  # type: ignore[index]
    assert world.on_disk("T2_B") == {OUT: EVENTS, lfn("new.root"): b"new"}
    with world.ctx.begin.reading() as work:
        told = work.rows(select(History.site, History.who).where(History.what == "rebooked"))
    assert told == [("T2_B", ALICE.name)]


def test_a_confirmation_that_came_after_a_failure_is_believed(world: World, clock: Clock):
    first = world.book("T2_A", "out.root", EVENTS)
    world.confirm(first)
    world.work()
    world.upload(first, EVENTS)
    clock.forward(seconds=5)
    world.confirm(first)

    world.inject("T2_B", [world.pulled("T2_B", "out.root", EVENTS)])
    world.work()

    assert world.on_disk("T2_A") == {OUT: EVENTS}
    assert world.on_disk("T2_B") == {}


def test_what_leaves_a_site_is_not_rebooked_into_its_deletion(world: World):
    world.inject("T2_A", [lost(world, "T2_A"), world.pulled("T2_A", "kept.root", b"kept")])
    world.close()
    world.work()
    world.delete(site="T2_A", last_copy=True)
    world.step("condemn")

    with pytest.raises(Conflict) as refused:
        world.inject("T2_B", [world.pulled("T2_B", "out.root", EVENTS)])
    assert refused.value.reason == "being-deleted"


# --- confirmed, cancelled, nearly expired --------------------------------------------------------


@pytest.mark.parametrize("site", ["T2_A", "T2_B"])
def test_nobody_is_told_to_write_over_what_was_confirmed(world: World, site: str):
    first = world.book("T2_A", "out.root", EVENTS)
    world.upload(first, EVENTS)
    world.confirm(first)

    second = world.book(site, "out.root", EVENTS)
    assert told(world, second) is None
    world.confirm(second)
    world.work()

    assert world.request("injection", second)["state"] == "done"
    assert world.on_disk("T2_A") == {OUT: EVENTS}


def test_what_was_confirmed_and_is_wrong_may_be_written_again(world: World):
    first = world.book("T2_A", "out.root", EVENTS)
    world.upload(first, b"evenTS")
    world.confirm(first)
    assert told(world, first) is None
    world.work()
    assert told(world, first) is not None

    world.upload(first, EVENTS)
    world.confirm(first)
    assert told(world, first) is None
    world.work()

    assert world.request("injection", first)["state"] == "done"


def test_a_checksum_that_is_told_only_by_the_second_life_is_checked(world: World):
    world.inject("T2_A", [nothing_told(world)])
    wrong = world.output("T2_B", "second.root", b"evenTS")

    again = world.inject("T2_B", [described(wrong)])
    world.work()

    assert world.request("injection", again)["state"] != "done"
    assert OUT not in world.on_disk("T2_B")


def test_a_size_that_is_told_only_by_the_second_life_is_checked(world: World):
    world.inject("T2_A", [nothing_told(world)])
    here = world.output("T2_A", "second.root", b"more events")

    again = world.inject("T2_A", [schemas.InjectedFile(lfn=OUT, size=len(EVENTS), source=here)])
    world.work()

    assert world.request("injection", again)["state"] != "done"
    assert OUT not in world.on_disk("T2_A")


def test_the_size_of_a_wrong_source_is_not_registered(world: World, clock: Clock):
    wrong = world.output("T2_A", "wrong.root", b"more events")
    sum_alone = schemas.InjectedFile(lfn=OUT, adler32=adler32(EVENTS), source=wrong)
    world.inject("T2_A", [sum_alone])
    world.work()

    again = world.inject("T2_B", [world.pulled("T2_B", "out.root", EVENTS)])
    world.work()

    assert world.request("injection", again)["state"] == "done"
    assert world.on_disk("T2_B") == {OUT: EVENTS}


def test_what_is_told_while_a_worker_reads_another_source_stands(
    world: World, clock: Clock, monkeypatch: pytest.MonkeyPatch
):
    source = world.output("T2_A", "out.root", b"evenTS")
    world.inject("T2_A", [schemas.InjectedFile(lfn=OUT, source=source)])
    fix = late_booking.fix

    def told_meanwhile(*read: Any) -> Any:
        monkeypatch.undo()
        world.inject("T2_A", [described(source)])
        return fix(*read)

    monkeypatch.setattr(late_booking, "fix", told_meanwhile)
    world.work()
    assert OUT not in world.on_disk("T2_A")

    world.output("T2_A", "out.root", EVENTS)
    clock.forward(minutes=5)
    world.sweep()
    assert world.on_disk("T2_A") == {OUT: EVENTS}


def test_who_was_taken_for_dead_does_not_register_what_its_old_source_holds(
    world: World, clock: Clock, monkeypatch: pytest.MonkeyPatch
):
    source = world.output("T2_A", "out.root", b"older events")
    world.inject("T2_A", [schemas.InjectedFile(lfn=OUT, source=source)])
    here = world.output("T2_B", "out.root", EVENTS)
    fix = late_booking.fix

    def wakes_up(*read: Any) -> Any:
        monkeypatch.undo()
        clock.forward(hours=1)
        sweeper.sweep(world.ctx)
        world.inject("T2_B", [schemas.InjectedFile(lfn=OUT, source=here)])
        return fix(*read)

    monkeypatch.setattr(late_booking, "fix", wakes_up)
    world.work()

    assert world.on_disk("T2_B") == {OUT: EVENTS}


def test_what_was_found_wrong_is_booked_anew_for_the_whole_time(world: World, clock: Clock):
    first = world.book("T2_A", "out.root", EVENTS)
    world.upload(first, b"evenTS")
    world.confirm(first)
    world.work()
    clock.forward(hours=23)
    second = world.book("T2_A", "out.root", EVENTS)
    assert told(world, second) is not None

    clock.forward(hours=20)
    world.sweep()
    world.upload(second, EVENTS)
    world.confirm(second)
    world.work()

    assert world.request("injection", second)["state"] == "done"
    assert world.on_disk("T2_A")[OUT] == EVENTS


def test_a_first_life_that_is_cancelled_leaves_what_a_second_one_booked_anew(world: World):
    first = world.book("T2_A", "out.root", EVENTS)
    second = world.book("T2_B", "out.root", EVENTS)
    world.upload(second, EVENTS)
    world.confirm(second)

    cancellation.cancel(world.ctx, RequestKind.INJECTION, first, ALICE)
    world.work()

    assert world.request("injection", second)["state"] == "done"
    assert world.on_disk("T2_B") == {OUT: EVENTS}
    assert world.used("alice") == len(EVENTS)


def test_a_second_life_that_is_cancelled_brings_nothing_more(world: World):
    first = world.inject("T2_A", [lost(world, "T2_A")])
    second = world.inject("T2_B", [world.pulled("T2_B", "out.root", EVENTS)])

    cancellation.cancel(world.ctx, RequestKind.INJECTION, second, ALICE)
    world.work()

    assert world.on_disk("T2_B") == {}
    assert place(world) == (0, 0)
    assert world.used("alice") == 0
    assert world.request("injection", first)["state"] == "failed"


def test_a_booking_that_is_made_again_is_kept_for_the_whole_time_again(world: World, clock: Clock):
    first = world.book("T2_A", "out.root", EVENTS)
    clock.forward(hours=23, minutes=58)
    second = world.book("T2_A", "out.root", EVENTS)
    assert address(world, second) == address(world, first)

    clock.forward(hours=20)
    world.sweep()
    world.upload(second, EVENTS)
    world.confirm(second)
    world.work()

    assert world.on_disk("T2_A") == {OUT: EVENTS}


@pytest.mark.parametrize("is_late", [False, True])
def test_a_confirmation_while_a_worker_looks_is_not_lost(
    world: World, clock: Clock, monkeypatch: pytest.MonkeyPatch, is_late: bool
):
    first = world.book("T2_A", "out.root", EVENTS)
    target = Path(address(world, first).removeprefix("file://"))
    if is_late:
        clock.forward(hours=24, seconds=1)
    else:
        world.upload(first, b"evenTS")
        world.confirm(first)
    accept = copier.accept

    def then_confirmed(*asked: Any) -> Any:
        try:
            return accept(*asked)
        finally:
            monkeypatch.undo()
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(EVENTS)
            world.confirm(first)

    monkeypatch.setattr(copier, "accept", then_confirmed)
    world.sweep()
    world.work()
    world.sweep()

    assert world.request("injection", first)["state"] == "done"
    assert world.on_disk("T2_A") == {OUT: EVENTS}


def test_a_confirmation_that_comes_while_another_life_books_anew_is_refused(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    first = world.book("T2_A", "out.root", EVENTS)
    world.upload(first, EVENTS)
    inside, go_on = Event(), Event()
    sign = rebooking.sign

    def slowly(*asked: Any) -> None:
        sign(*asked)
        inside.set()
        assert go_on.wait(10)

    monkeypatch.setattr(rebooking, "sign", slowly)
    with ThreadPoolExecutor(2) as pool:
        second = pool.submit(world.book, "T2_B", "out.root", EVENTS)
        assert inside.wait(10)
        confirmed = pool.submit(world.confirm, first)
        time.sleep(0.5)  # it waits for the locks by now
        go_on.set()
        second.result()
        with pytest.raises(Conflict, match="booked anew"):
            confirmed.result()
