"""From one call to a consolidated dataset."""

import pytest

from dynamo.db.tables import File
from dynamo.errors import Conflict, Forbidden, Full, Invalid
from dynamo.inventory import schemas
from dynamo.inventory.states import RequestKind
from dynamo.services.requests import views as request_views
from tests.conftest import Clock
from tests.services.world import BOB, World, lfn


def pages(world: World, state: str) -> list[dict[str, object]]:
    """List the injections in a state, newest first."""
    wanted = request_views.RequestFilter(state)
    return request_views.list_page(world.ctx, RequestKind.INJECTION, wanted, None, 10)[0]


def test_a_job_hands_its_output_over_with_one_call(world: World):
    request = world.inject("T2_A", [world.pulled("T2_A", "out.root", b"events")])

    world.work()

    assert world.request("injection", request)["state"] == "done"
    assert world.on_disk("T2_A") == {"/store/user/dynamo/alice/out.root": b"events"}


def test_scattered_files_come_together_at_one_site_and_nowhere_else(world: World):
    for site, n in (("T2_A", 12), ("T2_B", 7)):
        world.many(site, n)
    world.work()
    before = world.on_disk("T2_A") | world.on_disk("T2_B")
    closure = world.close()
    world.work()
    copy = world.copy("T2_C")

    world.work()

    assert world.request("closure", closure)["state"] == "done"
    assert world.request("copy", copy)["state"] == "done"
    assert world.on_disk("T2_C") == before
    assert len(before) == 19
    assert world.on_disk("T2_A") == {}
    assert world.on_disk("T2_B") == {}


def test_a_block_closes_at_its_limit_and_the_next_opens(world: World):
    world.many("T2_A", 12)

    assert sorted(world.blocks()) == [(2, False), (5, True), (5, True)]


def test_a_file_over_the_byte_limit_has_a_block_of_its_own(world: World):
    world.ctx = world.with_settings(block={"max_files": 5, "max_bytes": 10})

    world.inject(
        "T2_A",
        [world.pulled("T2_A", f"{n}.root", b"x" * size) for n, size in enumerate((4, 4, 30, 4))],
    )

    assert sorted(world.blocks()) == [(1, False), (1, True), (2, True)]


def test_an_upload_is_verified_once_it_is_confirmed(world: World):
    request = world.book("T2_A", "out.root", b"events")
    world.work()
    assert world.on_disk("T2_A") == {}
    world.upload(request, b"events")

    world.confirm(request)
    world.work()

    assert world.request("injection", request)["state"] == "done"
    assert world.on_disk("T2_A") == {lfn("out.root"): b"events"}


def test_an_upload_whose_job_died_before_the_confirmation_is_found_when_the_booking_ends(
    world: World, clock: Clock
):
    request = world.book("T2_A", "out.root", b"events")
    world.upload(request, b"events")
    world.work()

    clock.forward(hours=25)
    world.sweep()

    assert world.request("injection", request)["state"] == "done"
    assert world.on_disk("T2_A") == {lfn("out.root"): b"events"}


@pytest.mark.parametrize("confirmed", [False, True])
def test_a_site_that_is_away_when_a_booking_ends_costs_no_upload(
    world: World, clock: Clock, confirmed: bool
):
    request = world.book("T2_A", "out.root", b"events")
    world.upload(request, b"events")
    root, away = world.folder / "T2_A", world.folder / "unmounted"
    root.rename(away)
    if confirmed:
        world.confirm(request)
    for hours in (23, 3, 24):
        clock.forward(hours=hours)
        world.sweep()
    assert world.request("injection", request)["state"] != "failed"

    away.rename(root)
    for _ in range(2):
        clock.forward(hours=25)
        world.sweep()
    assert world.request("injection", request)["state"] == "done"
    assert world.on_disk("T2_A") == {lfn("out.root"): b"events"}


def test_a_booking_that_never_arrives_gives_everything_back(world: World, clock: Clock):
    request = world.book("T2_A", "out.root", b"events")
    world.work()
    assert world.used("alice") == 6

    clock.forward(hours=25)
    world.sweep()

    shown = world.request("injection", request)
    assert (shown["state"], shown["reason"]) == ("failed", "booking-expired")
    assert world.used("alice") == 0
    assert world.projected("T2_A") == 0
    clock.forward(minutes=2)
    world.sweep()
    assert world.book("T2_A", "out.root", b"other")  # the name is free again


def test_a_wrong_upload_is_never_accepted(world: World, clock: Clock):
    request = world.book("T2_A", "out.root", b"events")
    world.upload(request, b"evEnts")
    world.confirm(request)
    world.work()

    problem = world.problems("injection", request)[0]
    assert problem["reason"] == "checksum-mismatch"
    assert lfn("out.root") not in world.on_disk("T2_A")
    world.upload(request, b"events")
    world.confirm(request)
    world.work()
    assert world.request("injection", request)["state"] == "done"


def test_a_source_that_vanishes_is_tried_again_and_then_held_with_its_reason(
    world: World, clock: Clock
):
    file = world.pulled("T2_A", "out.root", b"events")
    world.output_path("T2_A", "out.root").unlink()
    request = world.inject("T2_A", [file])
    for _ in range(10):
        world.sweep()
        clock.forward(minutes=50)

    shown = world.request("injection", request)
    assert shown["state"] == "held"
    assert world.problems("injection", request)[0]["reason"] == "source-missing"
    world.output("T2_A", "out.root", b"events")
    clock.forward(days=1)
    world.sweep()
    assert world.request("injection", request)["state"] == "done"


def test_size_and_checksum_may_be_read_at_the_source(world: World):
    file = schemas.InjectedFile(
        lfn=lfn("out.root"), source=world.output("T2_A", "out.root", b"events")
    )

    request = world.inject("T2_A", [file])
    assert world.used("alice") == 0
    world.work()

    assert world.request("injection", request)["state"] == "done"
    assert world.used("alice") == 6
    assert world.projected("T2_A") == 6


def test_a_file_whose_size_breaks_the_quota_is_held_until_there_is_room(world: World, clock: Clock):
    world.quota("alice", 5)
    file = schemas.InjectedFile(
        lfn=lfn("out.root"), source=world.output("T2_A", "out.root", b"events")
    )

    request = world.inject("T2_A", [file])
    world.work()
    assert world.problems("injection", request)[0]["reason"] == "quota-exceeded"
    world.quota("alice", 6)
    clock.forward(minutes=2)
    world.sweep()

    assert world.request("injection", request)["state"] == "done"


def test_the_same_files_again_are_no_error(world: World):
    files = [world.pulled("T2_A", "out.root", b"events")]
    first = world.inject("T2_A", files)
    again = world.inject("T2_A", files)
    world.work()
    third = world.inject("T2_A", files)

    assert world.used("alice") == 6
    assert [world.request("injection", request)["state"] for request in (first, again, third)] == [
        "done"
    ] * 3


def test_a_repeated_injection_of_a_file_that_its_owner_drops_has_failed(world: World, clock: Clock):
    file = world.pulled("T2_A", "out.root", b"events")
    world.output_path("T2_A", "out.root").unlink()
    world.inject("T2_A", [file])
    again = world.inject("T2_A", [file, world.pulled("T2_A", "other.root", b"x")])
    world.work()
    deletion = world.delete(lfns=(lfn("out.root"),))
    world.work()
    for _ in range(3):
        clock.forward(minutes=2)
        world.sweep()

    assert world.request("deletion", deletion)["state"] == "done"
    shown = world.request("injection", again)
    assert shown["state"] == "failed"
    assert shown["progress"]["files"] == {"total": 2, "done": 1, "failed": 1}  # type: ignore[index]


def test_a_repeated_injection_says_that_a_known_file_is_held_and_why(world: World, clock: Clock):
    file = world.pulled("T2_A", "out.root", b"events")
    world.output_path("T2_A", "out.root").unlink()
    first = world.inject("T2_A", [file])
    again = world.inject("T2_A", [file, world.pulled("T2_A", "other.root", b"x")])
    world.work()
    assert world.request("injection", again)["state"] == "running"
    assert [one["reason"] for one in world.problems("injection", again)] == ["source-missing"]
    for _ in range(10):
        clock.forward(minutes=50)
        world.sweep()

    earlier, shown = world.request("injection", first), world.request("injection", again)
    assert (shown["state"], shown["reason"]) == (earlier["state"], "source-missing")
    assert shown["state"] == "held"
    assert shown["problems"] == earlier["problems"]
    assert [(one["id"], one["problems"]) for one in pages(world, "held")] == [
        (again, shown["problems"]),
        (first, shown["problems"]),
    ]
    world.output("T2_A", "out.root", b"events")
    clock.forward(days=1)
    world.sweep()
    assert world.request("injection", again)["state"] == "done"


def test_an_injection_of_what_waits_for_an_ill_site_says_so_at_once(world: World, clock: Clock):
    first = world.book("T2_A", "out.root", b"events")
    world.upload(first, b"events")
    world.confirm(first)
    world.status("T2_A", "waitroom")
    world.work()
    assert world.request("injection", first)["state"] == "held"

    again = world.inject("T2_B", [world.pulled("T2_B", "out.root", b"events")])
    assert world.problems("injection", again)[0]["reason"] == "site-not-ready"
    world.work()

    shown = world.request("injection", again)
    assert (shown["state"], shown["reason"]) == ("held", "site-not-ready")
    clock.forward(minutes=2)
    world.sweep()
    assert [one["id"] for one in pages(world, "held")] == [again, first]
    world.status("T2_A", "ready")
    clock.forward(minutes=2)
    world.sweep()
    assert world.request("injection", again)["state"] == "done"
    assert "reason" not in world.request("injection", again)


def test_a_closure_names_the_files_that_it_waits_for(world: World):
    world.inject("T2_A", [world.pulled("T2_A", f"{n}.root", b"x") for n in range(3)])
    world.output_path("T2_A", "1.root").unlink()
    closure = world.close()
    world.work()

    problems = world.problems("closure", closure)
    assert [(one["lfn"], one["site"], one["reason"]) for one in problems] == [
        (lfn("1.root"), "T2_A", "source-missing")
    ]
    assert problems[0]["next_try"] is not None


def test_a_name_with_another_size_or_owner_is_a_conflict(world: World):
    world.inject("T2_A", [world.pulled("T2_A", "out.root", b"events")])

    with pytest.raises(Conflict) as refused:
        world.inject("T2_A", [world.pulled("T2_A", "out.root", b"others!")])
    assert refused.value.reason == "name-conflict"
    with pytest.raises(Forbidden):
        world.inject("T2_A", [world.pulled("T2_A", "b.root", b"x", user="bob")], by=BOB)


def test_alice_does_not_own_alicebob(world: World):
    for name in ("alicebob", "bob", "Alice"):
        with pytest.raises(Forbidden) as refused:
            world.inject("T2_A", [world.pulled("T2_A", "x.root", b"x", user=name)])
        assert refused.value.reason == "not-your-namespace"


def test_the_user_quota_counts_unique_bytes_and_is_exact(world: World):
    world.quota("alice", 10)
    world.inject("T2_A", [world.pulled("T2_A", "a.root", b"x" * 10)])

    with pytest.raises(Full) as refused:
        world.inject("T2_B", [world.pulled("T2_B", "b.root", b"x")])
    assert refused.value.reason == "quota-exceeded"
    world.close()
    world.copy("T2_C", consolidate=False)
    world.work()
    assert world.used("alice") == 10
    assert (world.projected("T2_A"), world.projected("T2_C")) == (10, 10)


def test_a_full_site_names_alternatives_and_the_next_of_a_list_is_taken(world: World):
    world.site_quota("T2_A", 5)
    file = world.pulled("T2_A", "a.root", b"x" * 10)

    with pytest.raises(Full) as refused:
        world.inject("T2_A", [file])
    assert refused.value.alternatives == ["T2_B", "T2_C"]
    world.output("T2_B", "a.root", b"x" * 10)
    world.injection(("T2_A", "T2_B"), [world.pulled("T2_B", "a.root", b"x" * 10)])
    world.work()
    assert list(world.on_disk("T2_B")) == [lfn("a.root")]


def test_over_the_alarm_of_unique_bytes_new_data_are_refused_if_so_configured(world: World):
    world.site_quota("T2_A", 100)
    world.inject("T2_A", [world.pulled("T2_A", "a.root", b"x" * 80)])
    world.work()
    world.inject("T2_A", [world.pulled("T2_A", "b.root", b"x")])  # only shown, by default
    world.ctx = world.with_settings(user={"refuse_over_alarm": True})

    with pytest.raises(Full) as refused:
        world.inject("T2_A", [world.pulled("T2_A", "c.root", b"x")])
    assert refused.value.alternatives == ["T2_B", "T2_C"]
    world.injection(("T2_A", "T2_B"), [world.pulled("T2_B", "c.root", b"x")])

    for site in ("T2_B", "T2_C"):
        world.site_quota(site, 2)
    with pytest.raises(Full) as refused:  # over all sites together there is too much as well
        world.inject("T2_B", [world.pulled("T2_B", "d.root", b"x")])
    assert refused.value.alternatives == []


def test_nothing_is_registered_when_one_file_is_refused(world: World):
    good, bad = world.pulled("T2_A", "good.root", b"x"), world.pulled("T2_A", "bad.root", b"x")
    bad = schemas.InjectedFile(
        lfn="/store/user/dynamo/alice/../bob/x", size=1, adler32=bad.adler32, source=bad.source
    )

    with pytest.raises(Invalid) as refused:
        world.inject("T2_A", [good, bad])

    assert refused.value.faults[0].pointer == "/files/1/lfn"
    assert world.count(File) == 0
