"""Copies: planned at once, followed as blocks close, gathered, cancelled."""

import random
from collections.abc import Mapping, Sequence
from threading import Barrier, Thread
from typing import Any

import pytest
from sqlalchemy import delete, select

from dynamo.db.tables import BlockReplica, Deletion, Incident, Quota, Site, Transfer
from dynamo.errors import Conflict, Forbidden, Invalid, NotFound
from dynamo.inventory import schemas
from dynamo.inventory.states import RequestKind
from dynamo.services import cancellation
from dynamo.services.copies import submission as copies_submission
from dynamo.services.injection import closure as closures
from dynamo.services.sites import sites
from tests.conftest import Clock
from tests.services.world import ALICE, BOB, OPERATOR, World, lfn
from tests.steps.copies import chosen, complete_at, open_transfers, told


def test_an_open_block_is_not_copied_until_it_closes(world: World, clock: Clock):
    world.many("T2_A", 7)
    world.work()
    world.copy("T2_B", consolidate=False)
    world.work()
    assert len(world.on_disk("T2_B")) == 5

    world.close()
    world.work()

    assert len(world.on_disk("T2_B")) == 7


def test_one_may_ask_before_the_first_file_exists(world: World):
    request = world.copy("T2_C")
    world.work()
    assert world.request("copy", request)["reason"] == "dataset-unknown"

    world.many("T2_A", 5)
    world.work()

    assert len(world.on_disk("T2_C")) == 5
    assert world.on_disk("T2_A") == {}
    assert world.request("copy", request)["state"] == "running"  # the dataset may still grow
    world.close()
    world.work()
    assert world.request("copy", request)["state"] == "done"


def test_a_copy_to_several_sites_keeps_the_scattered_ones(world: World):
    world.many("T2_A", 5)
    world.close()
    world.copy(["T2_B", "T2_C"])
    world.work()

    assert [len(world.on_disk(site)) for site in ("T2_A", "T2_B", "T2_C")] == [5, 5, 5]


def test_globs_choose_as_many_sites_as_copies_are_wanted(world: World):
    world.many("T2_A", 5)
    world.close()
    request = world.copy(["T2_*"], copies=2)
    world.work()

    shown = world.request("copy", request)
    assert shown["state"] == "done"
    assert sorted(len(world.on_disk(site)) for site in ("T2_A", "T2_B", "T2_C")) == [0, 5, 5]
    assert "T2_A" in shown["chosen"]  # it holds the data already


@pytest.mark.parametrize("begun", [False, True])
def test_another_site_is_chosen_for_one_that_is_given_up(world: World, clock: Clock, begun: bool):
    world.many("T2_A", 10)
    world.close()
    world.work()
    world.ctx = world.with_settings(work={"batch": 3}, block={"max_files": 5})
    request = world.copy(["T2_B", "T2_C"], copies=1, consolidate=False)
    world.step("plan")
    (lost,) = chosen(world, request)
    (other,) = {"T2_B", "T2_C"} - {lost}
    if begun:
        for _ in range(2):
            world.step("copy")
    sites.update(world.ctx, lost, schemas.SiteBody(status="morgue"), OPERATOR)
    world.published.clear()
    for _ in range(3):
        clock.forward(minutes=2)
        world.sweep()

    assert chosen(world, request) == [other]
    assert told(world, request)[0] == "done"
    assert len(world.on_disk(other)) == 10
    assert open_transfers(world, lost) == 0

    sites.update(world.ctx, lost, schemas.SiteBody(status="ready"), OPERATOR)
    for _ in range(3):
        clock.forward(hours=13)
        world.sweep()
    assert len(world.on_disk(lost)) == (5 if begun else 0)  # a block that is whole may stay


def test_a_site_that_is_away_is_waited_for_some_hours(world: World, clock: Clock):
    world.many("T2_A", 5)
    world.close()
    world.work()
    request = world.copy(["T2_B", "T2_C"], copies=1, consolidate=False)
    world.step("plan")
    (away,) = chosen(world, request)
    (other,) = {"T2_B", "T2_C"} - {away}
    sites.update(world.ctx, away, schemas.SiteBody(status="waitroom"), OPERATOR)
    clock.forward(hours=5)
    world.sweep()
    assert chosen(world, request) == [away]
    assert world.on_disk(other) == {}

    clock.forward(hours=1)
    world.sweep()
    assert chosen(world, request) == [other]
    assert told(world, request)[0] == "done"
    assert len(world.on_disk(other)) == 5


def test_of_several_chosen_sites_only_the_lost_one_is_replaced(world: World, clock: Clock):
    world.many("T2_A", 5)
    world.work()
    world.site("T2_D")
    request = world.copy(["T2_[BCD]"], copies=2, consolidate=False)
    world.work()
    lost, kept = chosen(world, request)
    (other,) = {"T2_B", "T2_C", "T2_D"} - {lost, kept}
    sites.update(world.ctx, lost, schemas.SiteBody(status="morgue"), OPERATOR)
    world.many("T2_A", 5, start=5)
    world.close()
    world.work()
    clock.forward(minutes=2)
    world.sweep()

    assert chosen(world, request) == sorted([kept, other])
    assert told(world, request)[0] == "done"
    assert [len(world.on_disk(site)) for site in (kept, other)] == [10, 10]


def test_where_no_other_site_can_be_chosen_those_that_were_stay_wanted(world: World, clock: Clock):
    world.many("T2_A", 5)
    world.work()
    request = world.copy(["T2_B", "T2_C"], copies=2, consolidate=False)
    world.work()
    sites.update(world.ctx, "T2_B", schemas.SiteBody(status="waitroom"), OPERATOR)
    clock.forward(hours=7)
    world.many("T2_A", 5, start=5)
    world.close()
    world.work()

    assert len(world.on_disk("T2_C")) == 10
    assert told(world, request) == ("held", "site-not-ready", "T2_B takes nothing now")

    sites.update(world.ctx, "T2_B", schemas.SiteBody(status="ready"), OPERATOR)
    clock.forward(minutes=2)
    world.sweep()
    assert told(world, request)[0] == "done"
    assert len(world.on_disk("T2_B")) == 10


def test_gathering_again_elsewhere_moves_everything_there(world: World):
    world.many("T2_A", 5)
    world.close()
    first = world.copy("T2_B")
    world.work()
    world.copy("T2_C")
    world.work()

    assert [len(world.on_disk(site)) for site in ("T2_A", "T2_B", "T2_C")] == [0, 0, 5]
    assert world.request("copy", first)["state"] == "done"


def test_a_replica_that_another_request_wants_survives_the_gathering(world: World):
    world.many("T2_A", 5)
    world.close()
    world.copy("T2_B", consolidate=False)
    world.work()
    world.copy("T2_C")
    world.work()

    assert [len(world.on_disk(site)) for site in ("T2_A", "T2_B", "T2_C")] == [0, 5, 5]


@pytest.mark.parametrize("wanted", [{"site": ["T2_A"]}, {"site": ["T2_[AB]"], "copies": 2}])
def test_where_another_request_wants_what_lay_there_before_the_gathering_leaves_it(
    world: World, wanted: Mapping[str, Any]
):
    world.many("T2_A", 5)
    world.close()
    other = world.copy(**wanted, consolidate=False)
    world.work()
    world.copy("T2_C")
    world.work()

    assert world.request("copy", other)["state"] == "done"
    assert [len(world.on_disk(site)) for site in ("T2_A", "T2_C")] == [5, 5]


def test_a_request_for_one_block_keeps_no_others_from_the_gathering(world: World):
    world.many("T2_A", 10)
    world.close()
    world.work()
    world.copy("T2_A", blocks=(world.block_names()[0],))
    world.copy("T2_C")
    world.work()

    assert [len(world.on_disk(site)) for site in ("T2_A", "T2_C")] == [5, 10]


def test_a_copy_of_one_block_takes_no_gathered_dataset_apart(world: World):
    world.many("T2_A", 10)
    world.work()
    gathered = world.copy("T2_B")
    world.work()
    world.copy("T2_C", blocks=(world.block_names()[0],))
    world.work()
    world.close()
    world.work()

    assert world.request("copy", gathered)["state"] == "done"
    assert [len(world.on_disk(site)) for site in ("T2_A", "T2_B", "T2_C")] == [0, 10, 5]


def test_a_cancelled_copy_leaves_complete_blocks_and_removes_half_ones(world: World, clock: Clock):
    world.many("T2_A", 10)
    world.close()
    world.work()
    world.ctx = world.with_settings(work={"batch": 3}, deletion={"grace_hours": 0})
    request = world.copy("T2_B", consolidate=False)
    world.step("plan")
    for _ in range(2):
        world.step("copy")
    assert len(world.on_disk("T2_B")) == 6
    whole = complete_at(world, "T2_B")
    assert len(whole) == 1

    cancellation.cancel(world.ctx, RequestKind.COPY, request, ALICE)
    world.work()
    clock.forward(minutes=2)
    world.sweep()

    assert world.request("copy", request)["state"] == "cancelled"
    assert len(world.on_disk("T2_B")) == 5
    assert complete_at(world, "T2_B") == whole
    with world.ctx.begin.reading() as work:
        assert set(work.scalars(select(BlockReplica.complete))) == {True}
        assert work.scalars(select(BlockReplica.in_use).where(BlockReplica.in_use > 0)) == []
    with pytest.raises(Conflict):
        cancellation.cancel(world.ctx, RequestKind.COPY, request, ALICE)


def test_what_another_request_waits_for_as_well_outlives_a_cancelled_one(
    world: World, clock: Clock
):
    world.many("T2_A", 10)
    world.close()
    world.work()
    first = world.copy("T2_B", consolidate=False)
    second = world.copy("T2_B", consolidate=False)
    world.step("plan")
    cancellation.cancel(world.ctx, RequestKind.COPY, first, ALICE)
    world.work()
    clock.forward(minutes=2)
    world.sweep()

    assert world.request("copy", first)["state"] == "cancelled"
    shown = world.request("copy", second)
    assert (shown["state"], shown["expected_end"]) == ("done", None)
    assert len(world.on_disk("T2_B")) == 10
    assert world.count(Deletion) == 0


def test_copies_at_several_sites_do_not_wait_for_one_that_is_full(world: World, clock: Clock):
    world.many("T2_A", 5)
    world.close()
    world.work()
    world.site_quota("T2_B", 10)
    request = world.copy(["T2_B", "T2_C"])
    world.work()

    assert [len(world.on_disk(site)) for site in ("T2_B", "T2_C")] == [0, 5]
    shown = world.request("copy", request)
    assert (shown["state"], shown["detail"]) == ("held", "no room for more at T2_B")
    assert shown["progress"]["files"] == {"total": 10, "done": 5, "failed": 0}
    world.site_quota("T2_B", 10**9)
    clock.forward(minutes=2)
    world.sweep()
    assert world.request("copy", request)["state"] == "done"


def test_copies_at_some_of_several_sites_do_not_wait_until_all_of_them_can_be_made(
    world: World, clock: Clock
):
    world.many("T2_A", 5)
    world.close()
    world.work()
    world.site("T2_D")
    world.site_quota("T2_B", 10)
    world.status("T2_D", "waitroom")
    request = world.copy(["T2_B", "T2_C", "T2_D"], copies=2)
    world.work()

    assert chosen(world, request) == ["T2_C"]
    assert [len(world.on_disk(site)) for site in ("T2_B", "T2_C", "T2_D")] == [0, 5, 0]
    why = "no room for more at T2_B; T2_D takes nothing now"
    assert told(world, request) == ("held", "storage-full", why)

    world.status("T2_D", "ready")
    clock.forward(minutes=2)
    world.sweep()
    assert chosen(world, request) == ["T2_C", "T2_D"]
    assert [len(world.on_disk(site)) for site in ("T2_B", "T2_C", "T2_D")] == [0, 5, 5]
    assert told(world, request) == ("done", None, None)


def test_a_copy_that_exists_counts_where_the_others_cannot_be_made(world: World):
    world.many("T2_A", 5)
    world.close()
    world.work()
    world.status("T2_B", "waitroom")
    request = world.copy(["T2_A", "T2_B"], copies=2)
    world.work()

    assert chosen(world, request) == ["T2_A"]
    assert told(world, request) == ("held", "site-not-ready", "T2_B takes nothing now")
    progress = world.request("copy", request)["progress"]
    assert progress["files"] == {"total": 10, "done": 5, "failed": 0}  # type: ignore[index]


def test_blocks_are_shared_out_and_those_that_come_later_as_well(world: World):
    for start in (0, 5):
        world.many("T2_A", 5, start=start)
    world.work()
    request = world.copy(["T2_B", "T2_C"], spread=True)
    world.work()
    assert [len(world.on_disk(site)) for site in ("T2_B", "T2_C")] == [5, 5]

    for start in (10, 15):
        world.many("T2_A", 5, start=start)
    world.work()
    world.close()
    world.work()

    assert [len(world.on_disk(site)) for site in ("T2_A", "T2_B", "T2_C")] == [20, 10, 10]
    assert world.request("copy", request)["state"] == "done"


def test_two_plans_at_once_pass_no_limit_together(world: World):
    for dataset in ("/Higgs/alice-v1/USER", "/Higgs/alice-v2/USER"):
        world.many("T2_A", 5, start=5 * int(dataset[-6]), dataset=dataset)
        world.close(dataset)
    world.work()
    used = world.projected("T2_A")
    world.site_quota("T2_B", int(used / 0.93 * 0.9))  # room for one of them
    for dataset in ("/Higgs/alice-v1/USER", "/Higgs/alice-v2/USER"):
        wish = schemas.Copy(dataset=dataset, site="T2_B", consolidate=False)
        copies_submission.file(world.ctx, wish, ALICE)
    hints, world.published[:] = list(world.published), []
    together = Barrier(len(hints))

    def plan(ids: Sequence[int]) -> None:
        together.wait()
        world.run("plan", ids)

    threads = [Thread(target=plan, args=(hint.ids,)) for hint in hints]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(hints) == 2
    assert 0 < world.projected("T2_B") < used / 0.93 * 0.9 * 0.93


def test_a_corrupt_source_is_not_used_again_and_another_one_serves(world: World, clock: Clock):
    world.many("T2_A", 5)
    world.close()
    world.copy("T2_B", consolidate=False)
    world.work()
    bad = lfn("T2_A_0.root")
    world.path("T2_A", bad).write_bytes(b"!" * len(world.on_disk("T2_A")[bad]))

    world.copy("T2_C", consolidate=False)
    world.work()
    for _ in range(3):
        clock.forward(minutes=2)
        world.sweep()

    assert world.on_disk("T2_C") == world.on_disk("T2_B")
    with world.ctx.begin.reading() as work:
        assert [
            (row.lfn, row.site, row.kind) for row in work.rows(select(*Incident.__table__.columns))
        ] == [(bad, "T2_A", "corrupt")]


def test_a_copy_whose_only_source_is_corrupt_is_held_and_says_why(world: World, clock: Clock):
    world.many("T2_A", 5)
    world.close()
    world.work()
    bad = lfn("T2_A_0.root")
    world.path("T2_A", bad).write_bytes(b"!" * len(world.on_disk("T2_A")[bad]))
    request = world.copy("T2_C")
    world.work()
    for _ in range(10):
        clock.forward(hours=2)
        world.sweep()

    shown = world.request("copy", request)
    assert shown["state"] == "held"
    assert {problem["lfn"] for problem in world.problems("copy", request)} == {bad}
    assert (
        len(world.on_disk("T2_A")) == 5
    )  # nothing is cleaned up behind a copy that is not complete


def test_a_copy_to_a_site_that_is_away_waits_for_it(world: World, clock: Clock):
    world.many("T2_A", 5)
    world.close()
    world.work()
    world.status("T2_B", "waitroom")
    request = world.copy("T2_B")
    world.work()
    assert world.on_disk("T2_B") == {}
    assert world.request("copy", request)["reason"] == "site-not-ready"

    world.status("T2_B", "ready")
    clock.forward(minutes=2)
    world.sweep()

    assert len(world.on_disk("T2_B")) == 5
    assert world.request("copy", request)["state"] == "done"


@pytest.mark.parametrize("site", ["T2_B", ["T2_*"]])
def test_a_copy_waits_and_says_so_where_no_site_takes_any(
    world: World, clock: Clock, site: str | list[str]
):
    world.many("T2_A", 5)
    world.close()
    world.work()
    for away in ("T2_A", "T2_B", "T2_C"):
        world.status(away, "waitroom")
    request = world.copy(site, copies=1)
    world.work()
    shown = world.request("copy", request)
    assert (shown["state"], shown["reason"]) == ("held", "site-not-ready")

    world.status("T2_B", "ready")
    clock.forward(minutes=2)
    world.sweep()

    assert world.request("copy", request)["state"] == "done"
    assert len(world.on_disk("T2_B")) == 5


def test_a_site_without_room_holds_the_copy_until_there_is_some(world: World, clock: Clock):
    world.many("T2_A", 5)
    world.close()
    world.work()
    world.site_quota("T2_B", 10)
    request = world.copy("T2_B")
    world.work()
    assert world.request("copy", request)["reason"] == "storage-full"

    world.site_quota("T2_B", 10**9)
    clock.forward(minutes=2)
    world.sweep()

    assert world.request("copy", request)["state"] == "done"


def test_a_spread_that_no_site_has_room_for_says_so(world: World, clock: Clock):
    world.many("T2_A", 10)
    world.close()
    world.work()
    half = int(world.projected("T2_A") / 2 / 0.9)
    world.site_quota("T2_B", 10)
    world.site_quota("T2_C", 10)
    request = world.copy(["T2_B", "T2_C"], spread=True)
    world.work()
    full = ("held", "storage-full", "no room for more at T2_B, T2_C")
    assert told(world, request) == full

    world.site_quota("T2_B", half)  # room for one of two blocks
    clock.forward(minutes=2)
    world.sweep()
    assert len(world.on_disk("T2_B")) == 5
    assert told(world, request) == full

    world.site_quota("T2_C", 10**9)
    clock.forward(minutes=2)
    world.sweep()
    assert told(world, request)[0] == "done"
    assert len(world.on_disk("T2_C")) == 5


def test_a_copy_waits_and_says_so_where_the_last_one_is_still_being_deleted(
    world: World, clock: Clock
):
    world.many("T2_A", 5)
    world.close()
    world.copy("T2_B", consolidate=False)
    world.work()
    world.delete(site="T2_B")
    world.work()
    request = world.copy("T2_B", consolidate=False)
    world.work()
    assert told(world, request) == (
        "held",
        "being-deleted",
        "some of it is being deleted at T2_B: it follows then",
    )

    for _ in range(3):
        clock.forward(hours=13)
        world.sweep()
    assert told(world, request)[0] == "done"
    assert len(world.on_disk("T2_B")) == 5


@pytest.mark.parametrize(
    ("dealer", "reason", "detail"),
    [
        ({"target_sites": ["*", "!T2_B"]}, "permission-denied", "the settings keep copies away"),
        ({"leaving": ["T2_B"]}, "site-not-ready", "the settings want T2_B emptied"),
        (
            {"vetoes": [{"datasets": ["/Higgs/*"], "sites": ["T2_B"]}]},
            "permission-denied",
            "the dataset must not come to T2_B",
        ),
        ({}, "no-quota", "there is no quota for it at T2_B"),
    ],
    ids=["not-named", "leaving", "vetoed", "without-a-quota"],
)
@pytest.mark.parametrize("more", [{"consolidate": False}, {"consolidate": True}, {"copies": 1}])
def test_a_copy_says_what_closes_its_destination(
    world: World, dealer: dict[str, object], reason: str, detail: str, more: dict[str, object]
):
    world.many("T2_A", 5)
    world.close()
    world.work()
    world.ctx = world.with_settings(dealer=dealer)
    if not dealer:
        with world.ctx.begin() as work:
            key = select(Site.id).where(Site.name == "T2_B").scalar_subquery()
            work.changed(delete(Quota).where(Quota.site_id == key))
    request = world.copy("T2_B", **more)
    world.work()

    state, why, text = told(world, request)
    assert (state, why) == ("held", reason)
    assert str(text).startswith(detail)


def test_a_copy_to_some_of_several_sites_names_what_each_lacks(world: World):
    world.many("T2_A", 5)
    world.close()
    world.work()
    world.status("T2_B", "waitroom")
    world.site_quota("T2_C", 10)
    request = world.copy(["T2_B", "T2_C"], copies=1)
    world.work()

    why = "no room for more at T2_C; T2_B takes nothing now"
    assert told(world, request) == ("held", "storage-full", why)


def test_what_a_dataset_is_called_does_not_change_why_it_is_not_copied(world: World):
    called = "/Higgs/alice-Invalid/USER"
    world.many("T2_A", 5, dataset=called)
    world.close(called)
    world.work()
    for site in ("T2_B", "T2_C"):
        world.site_quota(site, 10)
    wanted = schemas.Copy(dataset=called, site=["T2_B", "T2_C"], copies=1, consolidate=False)
    request = copies_submission.file(world.ctx, wanted, ALICE)
    world.work()

    assert told(world, request)[:2] == ("held", "storage-full")


def test_a_copy_to_several_sites_names_what_each_lacks(world: World):
    world.many("T2_A", 5)
    world.close()
    world.work()
    world.site("T2_D")
    world.site_quota("T2_B", 10)
    world.status("T2_C", "morgue")
    request = world.copy(["T2_B", "T2_C", "T2_D"])
    world.work()

    why = "no room for more at T2_B; T2_C takes nothing now"
    assert told(world, request) == ("held", "storage-full", why)
    assert len(world.on_disk("T2_D")) == 5


def test_a_foreign_file_at_the_destination_is_replaced_not_trusted(world: World):
    world.many("T2_A", 5)
    world.close()
    world.work()
    name = lfn("T2_A_0.root")
    world.path("T2_B", name).parent.mkdir(parents=True)
    world.path("T2_B", name).write_bytes(b"\0" * len(world.on_disk("T2_A")[name]))
    before = world.on_disk("T2_A")

    world.copy("T2_B")
    world.work()

    assert world.on_disk("T2_B") == before


def test_messages_lost_doubled_and_late_change_nothing(world: World, clock: Clock):
    world.many("T2_A", 12)
    world.published.clear()  # lost
    world.sweep()
    clock.forward(minutes=2)
    world.sweep()
    world.close()
    world.copy("T2_B")
    draw = random.Random(1)
    while world.published:
        hint = world.published.pop(draw.randrange(len(world.published)))
        for _ in range(draw.randint(1, 3)):
            world.take(hint)

    assert len(world.on_disk("T2_B")) == 12
    assert world.on_disk("T2_A") == {}


def test_what_makes_no_sense_is_refused(world: World):
    world.many("T2_A", 1)

    with pytest.raises(Invalid):
        world.copy(["T2_B", "T2_C"], consolidate=True)
    with pytest.raises(Invalid):
        world.copy(["T2_*"])
    for more in ({"copies": 4}, {"copies": 4, "spread": True}):
        with pytest.raises(Invalid, match="means 3 of those"):
            world.copy(["T2_*", "T2_A"], **more)
    with pytest.raises(Invalid, match="means 1 of those"):
        world.copy(["T2_B", "T2_B"], copies=2)
    with pytest.raises(Invalid, match="means 0 of those"):
        world.copy(["T9_*"], copies=1)
    with pytest.raises(Invalid, match="empty list"):
        world.copy("T2_B", blocks=())
    with pytest.raises(NotFound):
        world.copy("T9_X")
    with pytest.raises(Forbidden):
        world.copy("T2_B", by=BOB)
    assert world.count(Transfer) == 1


def test_blocks_can_be_copied_one_by_one(world: World):
    world.many("T2_A", 10)
    world.work()
    block = world.block_names()[0]

    request = world.copy("T2_B", blocks=(block,), consolidate=False)
    world.work()

    assert len(world.on_disk("T2_B")) == 5
    assert world.request("copy", request)["state"] == "done"  # although the dataset is open


def test_a_copy_of_a_block_that_is_still_open_follows_when_it_closes(world: World):
    world.many("T2_A", 3)
    world.work()
    request = world.copy("T2_B", blocks=tuple(world.block_names()), consolidate=False)
    world.work()
    why = "what is still being filled is copied when it is closed"
    assert told(world, request) == ("running", "waiting", why)

    world.close()
    world.work()

    assert world.request("copy", request)["state"] == "done"
    assert len(world.on_disk("T2_B")) == 3


@pytest.mark.parametrize("planned", [True, False])
def test_a_copy_of_what_is_removed_meanwhile_fails(world: World, clock: Clock, planned: bool):
    world.many("T2_A", 5)
    world.close()
    world.work()
    request = world.copy("T2_B", consolidate=False)
    if planned:
        world.step("plan")
    world.delete()
    world.work()

    for _ in range(4):
        shown = world.request("copy", request)
        assert (shown["state"], shown["reason"]) == ("failed", "not-found")
        assert shown["detail"] == "the dataset was removed"
        clock.forward(hours=13)
        world.sweep()


def test_a_copy_of_blocks_that_are_removed_meanwhile_fails(world: World):
    world.many("T2_A", 10)
    world.work()
    block = world.block_names()[0]
    request = world.copy("T2_B", blocks=(block,), consolidate=False)
    world.delete(blocks=(block,))
    world.step("condemn")
    world.work()

    shown = world.request("copy", request)
    assert (shown["state"], shown["reason"]) == ("failed", "not-found")
    assert shown["detail"] == "nothing is left of what was asked for"


def test_a_site_that_has_the_wanted_blocks_is_chosen_although_it_lacks_others(world: World):
    world.many("T2_A", 10)
    world.close()
    world.work()
    first, second = world.block_names()
    world.copy("T2_B", blocks=(first,), consolidate=False)
    world.work()

    had = world.copy(["T2_B", "T2_C"], blocks=(first,), copies=1)
    lacked = world.copy("T2_B", blocks=(second, first), consolidate=False)
    world.work()

    assert world.request("copy", had)["chosen"] == ["T2_B"]
    assert [len(world.on_disk(site)) for site in ("T2_A", "T2_B", "T2_C")] == [10, 10, 0]
    assert world.request("copy", lacked)["state"] == "done"


def test_the_closure_names_files_that_cannot_arrive_and_goes_on_when_they_are_dropped(
    world: World, clock: Clock
):
    files = [world.pulled("T2_A", f"{n}.root", b"x") for n in range(3)]
    world.output_path("T2_A", "1.root").unlink()
    world.inject("T2_A", files)
    closure = world.close()
    for _ in range(10):
        world.sweep()
        clock.forward(minutes=50)
    shown = world.request("closure", closure)
    assert (shown["state"], shown["reason"]) == ("held", "source-missing")

    world.delete(lfns=(lfn("1.root"),))
    world.work()
    for _ in range(2):
        clock.forward(minutes=2)
        world.sweep()

    assert world.request("closure", closure)["state"] == "done"
    assert len(world.on_disk("T2_A")) == 2


def test_an_idle_block_is_closed(world: World, clock: Clock):
    world.many("T2_A", 2)
    world.work()
    clock.forward(hours=23)
    assert closures.close_idle(world.ctx) == 0
    clock.forward(hours=2)

    assert closures.close_idle(world.ctx) == 1
    assert world.blocks() == [(2, True)]


def test_a_closed_dataset_takes_no_more_files_but_a_repeated_call_is_no_error(world: World):
    file = world.pulled("T2_A", "a.root", b"x")
    world.inject("T2_A", [file])
    world.close()

    with pytest.raises(Conflict) as refused:
        world.inject("T2_A", [world.pulled("T2_A", "b.root", b"x")])
    assert refused.value.reason == "dataset-closed"
    assert world.inject("T2_A", [file])


def test_work_for_a_stopped_site_waits_for_the_switch(world: World, clock: Clock):
    world.many("T2_A", 2)
    world.status("T2_A", "waitroom")
    world.work()
    with world.ctx.begin.reading() as work:
        assert set(work.scalars(select(Transfer.reason))) == {"site-not-ready"}

    world.status("T2_A", "ready")
    world.sweep()

    assert len(world.on_disk("T2_A")) == 2


def test_cancelled_injections_give_back_what_has_not_arrived(world: World, clock: Clock):
    request = world.many("T2_A", 3)
    cancellation.cancel(world.ctx, RequestKind.INJECTION, request, ALICE)
    world.work()
    clock.forward(minutes=2)
    world.sweep()

    assert world.request("injection", request)["state"] == "cancelled"
    assert world.used("alice") == 0
    assert world.on_disk("T2_A") == {}
