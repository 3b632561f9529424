"""Who may bring files where: limits, turns, and sites that keep failing."""

from concurrent.futures import ThreadPoolExecutor, wait
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from dynamo.db.sites.breakers import Result
from dynamo.db.tables import (
    Breaker,
    Deletion,
    Incident,
    Parked,
    Request,
    Site,
    Stream,
    Transfer,
)
from dynamo.db.transfers import links, source_selection, streams
from dynamo.db.transfers.links import Moved
from dynamo.db.transfers.streams import LinkKey
from dynamo.db.work.claims import Holder
from dynamo.inventory import schemas
from dynamo.operations.breakers import Operation
from dynamo.reasons import Reason
from dynamo.services.copies import submission as copies_submission
from dynamo.services.maintenance import sweeper
from dynamo.services.sites import switches
from dynamo.services.transfers import executor as transfer_executor
from dynamo.services.transfers import throttler
from dynamo.services.transfers.throttler import Experience
from tests.conftest import Clock
from tests.services.world import ALICE, DATASET, OPERATOR, World, lfn
from tests.steps.sites import break_site, mend_site, read_from
from tests.steps.spoiling import at_two_sites

HALF_LIFE = timedelta(days=1)


def site_id(world: World, name: str) -> int:
    """Return the key of a site."""
    with world.ctx.begin.reading() as work:
        return int(work.scalar(select(Site.id).where(Site.name == name)))


def waiting(world: World, request: int) -> list[int]:
    """Return the transfers of a request that nobody has claimed."""
    with world.ctx.begin.reading() as work:
        wanted = (Transfer.request_id == request, Transfer.state == "queued")
        return work.scalars(select(Transfer.id).where(*wanted).order_by(Transfer.id))


def test_what_a_worker_finds_locked_is_sent_again_without_waiting_for_a_sweep(world: World) -> None:
    """The message is used up when the claim passes over rows that somebody changes just then."""
    request = world.many("T2_A", 5)
    ids = waiting(world, request)
    world.published.clear()
    with ThreadPoolExecutor(1) as pool:
        with world.ctx.begin() as work:
            work.rows(select(Transfer.id).where(Transfer.id.in_(ids)).with_for_update())
            worker = pool.submit(transfer_executor.carry, world.ctx, ids)
            wait([worker], 1)  # where a claim does not pass over locked rows, it waits as well
        worker.result()

    world.work()

    assert world.request("injection", request)["state"] == "done"


@pytest.mark.parametrize("engine", ["mariadb"], indirect=True)  # SQLite knows no locks of rows
def test_a_row_that_somebody_silent_holds_stalls_none_of_its_batch(
    world: World, clock: Clock
) -> None:
    """The server takes longer to end the silent transaction than a lease lasts."""
    request = world.many("T2_A", 3)
    ids = waiting(world, request)
    world.published.clear()
    with ThreadPoolExecutor(1) as pool, world.ctx.begin() as silent:
        silent.rows(select(Transfer.id).where(Transfer.id == ids[0]).with_for_update())
        worker = pool.submit(transfer_executor.carry, world.ctx, ids)
        assert worker.result(20) == 2, "the others are brought, and the worker is free again"
        assert len(world.on_disk("T2_A")) == 2
        assert waiting(world, request) == ids[:1]

    clock.forward(minutes=2)  # as long as a message is waited for
    world.sweep()

    assert world.request("injection", request)["state"] == "done"
    assert len(world.on_disk("T2_A")) == 3


@pytest.mark.parametrize("engine", ["mariadb"], indirect=True)  # SQLite knows no locks of rows
def test_a_row_that_somebody_silent_holds_keeps_nobody_from_sending_the_others(
    world: World, clock: Clock
) -> None:
    """Who ends a stream sends what comes next, with the breakers of its sites locked."""
    request = world.many("T2_A", 3)
    ids = waiting(world, request)
    world.published.clear()
    with world.ctx.begin() as work:
        streams.unsend(work, ids)

    def refill() -> None:
        with world.ctx.begin() as work:
            throttler.refill(work, world.ctx, [request])

    with ThreadPoolExecutor(1) as pool, world.ctx.begin() as silent:
        silent.rows(select(Transfer.id).where(Transfer.id == ids[0]).with_for_update())
        pool.submit(refill).result(20)
        assert [hint.ids for hint in world.published] == [tuple(ids[1:])]

    world.sweep()
    assert world.request("injection", request)["state"] == "done"
    assert len(world.on_disk("T2_A")) == 3


def test_no_limit_is_passed_however_many_workers_come_at_once(world: World) -> None:
    request = world.many("T2_A", 4)
    ids = waiting(world, request)
    a, b, c = (site_id(world, name) for name in ("T2_A", "T2_B", "T2_C"))
    with world.ctx.begin() as work:
        work.changed(update(Site).where(Site.id == a).values(max_streams=3))
        work.changed(update(Site).where(Site.id == c).values(max_link_streams=1))
    ways = [
        LinkKey(b, a),
        LinkKey(c, a),
        LinkKey(0, a),
        LinkKey(b, c),
        LinkKey(a, c),
        LinkKey(c, b),
    ] * 6

    def come(number: int) -> tuple[LinkKey, bool]:
        holder = Holder(f"worker-{number}", 600)
        return ways[number], throttler.enter(world.ctx, ways[number], ids, holder).granted

    with ThreadPoolExecutor(8) as pool:
        came = [way for way, granted in pool.map(come, range(len(ways))) if granted]

    into_a = [way for way in came if way.site_id == a]
    assert len(into_a) == 3, "as many as the site takes, no more and no fewer"
    assert {way: came.count(way) for way in came if c in (way.source_id, way.site_id)} == {
        way: 1 for way in came if c in (way.source_id, way.site_id)
    }
    assert LinkKey(b, c) in came
    assert LinkKey(a, c) in came
    with world.ctx.begin.reading() as work:
        assert work.scalar(select(func.count()).select_from(Stream)) == len(came)


def test_who_found_a_way_busy_is_called_when_it_is_free(world: World) -> None:
    request = world.many("T2_A", 3)
    a = site_id(world, "T2_A")
    with world.ctx.begin() as work:
        work.changed(update(Site).where(Site.id == a).values(max_streams=1))
    ids = waiting(world, request)
    first = Holder("first", 600)
    assert throttler.enter(world.ctx, LinkKey(0, a), ids, first).granted

    world.work()
    assert len(world.on_disk("T2_A")) == 0, "the one stream is taken"

    throttler.leave(world.ctx, Experience(LinkKey(0, a)), first, ())
    world.work()
    assert len(world.on_disk("T2_A")) == 3
    assert world.request("injection", request)["state"] == "done"
    assert world.count(Parked) == 0
    assert world.count(Stream) == 0


def test_a_dead_worker_frees_its_stream_with_its_lease(world: World, clock: Clock) -> None:
    request = world.many("T2_A", 3)
    a = site_id(world, "T2_A")
    with world.ctx.begin() as work:
        work.changed(update(Site).where(Site.id == a).values(max_streams=1))
    assert throttler.enter(
        world.ctx, LinkKey(0, a), waiting(world, request), Holder("dead", 30)
    ).granted
    world.work()

    clock.forward(seconds=31)
    world.sweep()

    assert world.request("injection", request)["state"] == "done"


def test_a_large_request_does_not_starve_a_small_one(world: World) -> None:
    world.ctx = world.with_settings(
        work={"batch": 5}, transfer={"window": 2, "site_streams": 1}, block={"max_files": 500}
    )
    large = world.many("T2_A", 200)
    world.step("inject")
    assert sum(len(hint.ids) for hint in world.published) <= 2 * 5, "the rest waits for its turn"
    small = world.many("T2_A", 5, start=500)
    rounds = 0
    while world.request("injection", small)["state"] != "done":
        hint = world.published.pop(0)
        getattr(transfer_executor, "inject" if hint.task == "inject" else "carry")(
            world.ctx, hint.ids
        )
        rounds += 1
        assert rounds < 6, "it is not behind all of the large one"
    assert world.request("injection", large)["state"] == "running"

    world.work(rounds=1000)
    assert world.request("injection", large)["state"] == "done", "and nothing of it is forgotten"


def test_a_large_copy_does_not_starve_a_small_one(world: World) -> None:
    other = "/Higgs/alice-small/USER"
    world.ctx = world.with_settings(
        work={"batch": 5}, transfer={"window": 2, "site_streams": 1}, block={"max_files": 50}
    )
    world.many("T2_A", 200)
    world.many("T2_A", 5, start=500, dataset=other)
    for dataset in (DATASET, other):
        world.close(dataset)
    world.work(rounds=1000)
    large = world.copy("T2_B", consolidate=False)
    world.step("plan")
    wish = schemas.Copy(dataset=other, site="T2_B", consolidate=False)
    small = copies_submission.file(world.ctx, wish, ALICE)
    rounds = 0
    while world.request("copy", small)["state"] != "done":
        hint = world.published.pop(0)
        world.take(hint)
        rounds += 1
        assert rounds < 15, "it is not behind all of the large one"
    assert world.request("copy", large)["state"] == "running"

    world.work(rounds=1000)
    assert world.request("copy", large)["state"] == "done", "and nothing of it is forgotten"


def test_a_message_that_was_lost_costs_a_sweep(world: World, clock: Clock) -> None:
    world.ctx = world.with_settings(work={"batch": 5}, transfer={"window": 2})
    request = world.many("T2_A", 50)
    world.step("inject")
    world.published.clear()
    clock.forward(seconds=120)
    for _ in range(10):
        world.sweep()
    assert world.request("injection", request)["state"] == "done"


def test_a_site_that_keeps_failing_rests_and_is_tried_again_gently(
    world: World, clock: Clock
) -> None:
    request = world.many("T2_A", 20)
    break_site(world, "T2_A")
    world.work()
    with world.ctx.begin.reading() as work:
        row = work.row(select(*Breaker.__table__.columns))
    assert row.operation == "write"
    assert row.until > work.now

    clock.forward(seconds=40)  # their back-off is over, the breaker is still open
    world.sweep()
    told = world.problems("injection", request)
    assert {one["reason"] for one in told} == {"site-failing"}
    assert "T2_A write breaker open until" in str(told[0]["detail"])
    attempts = {one["attempts"] for one in told}
    assert attempts == {1}, "nothing was tried meanwhile"

    clock.forward(seconds=60)
    world.sweep()
    with world.ctx.begin.reading() as work:
        tried = work.scalar(select(func.count()).select_from(Transfer).where(Transfer.attempts > 1))
        again = work.row(select(Breaker.until, Breaker.trips))
    assert tried == 3, "a few files, not all"
    assert again.trips == 2
    assert (again.until - work.now).total_seconds() > 60, "it rests longer"

    mend_site(world, "T2_A")
    clock.forward(seconds=130)
    for _ in range(4):
        world.sweep()
        clock.forward(seconds=60)
    assert world.request("injection", request)["state"] == "done"
    with world.ctx.begin.reading() as work:
        assert work.row(select(Breaker.until, Breaker.trips)) == (None, 0)


def test_a_single_bad_file_opens_no_breaker(world: World) -> None:
    world.many("T2_A", 30)
    files = [world.pulled("T2_A", f"gone_{n}", b"x") for n in range(8)]
    for n in range(8):
        world.output_path("T2_A", f"gone_{n}").unlink()
    world.inject("T2_A", files)
    world.work()
    with world.ctx.begin.reading() as work:
        assert work.scalars(select(Breaker.until)) == [None]
    assert len(world.on_disk("T2_A")) == 30


def test_the_nearest_healthy_source_is_read(world: World) -> None:
    at_two_sites(world)
    a, b, c = (site_id(world, name) for name in ("T2_A", "T2_B", "T2_C"))
    with world.ctx.begin.reading() as work:
        learnt = links.rates(work)
    assert learnt.keys() == {(a, b)}
    assert learnt[a, b] > 0

    block = 1
    with world.ctx.begin() as work:
        links.learn(
            work, {(a, c): Moved(10**9, 10.0), (b, c): Moved(10**9, 1.0)}, half_life=HALF_LIFE
        )
        fast, slow = (
            source_selection.best(work, [block], [a], c),
            source_selection.best(work, [block], [b], c),
        )
        assert source_selection.best(work, [block], (), c) == fast != slow

        place = (b, Operation.READ)
        throttler.breakers.count(
            work,
            {place: Result(failed=9, reason=Reason.SOURCE_ERROR, detail="?")},
            throttler.rules(world.ctx),
            world.ctx.dice,
        )
        assert source_selection.best(work, [block], (), c) == slow, "its site keeps failing"


@pytest.mark.parametrize("how", ["status", "breaker", "switch"])
def test_what_waits_for_an_ill_source_is_read_from_one_that_is_well(
    world: World, clock: Clock, how: str
) -> None:
    at_two_sites(world)
    request = world.copy("T2_C", consolidate=False)
    world.step("plan")
    [(first, n)] = read_from(world, request).items()
    [other] = {"T2_A", "T2_B"} - {first}
    assert n == 4
    with world.ctx.begin() as work:
        mine = update(Transfer).where(Transfer.request_id == request)
        work.changed(mine.values(state="held", reason="source-error"))
        if how == "breaker":
            place = (site_id(world, first), Operation.READ)
            failed = Result(failed=9, reason=Reason.SOURCE_ERROR, detail="?")
            throttler.breakers.count(
                work, {place: failed}, throttler.rules(world.ctx), world.ctx.dice
            )
    if how == "status":
        world.status(first, "waitroom")
    if how == "switch":
        switches.update(world.ctx, f"site:{first}", schemas.SwitchBody(stopped=True), OPERATOR)
    clock.forward(seconds=20)

    sweeper.sweep(world.ctx)

    assert read_from(world, request) == {other: 4}
    world.work()
    assert world.request("copy", request)["state"] == "done"


def test_a_file_that_cannot_be_read_at_one_site_is_read_at_another(
    world: World, clock: Clock
) -> None:
    at_two_sites(world)
    request = world.copy("T2_C", consolidate=False)
    world.step("plan")
    [first] = read_from(world, request)
    path = next((world.folder / first).rglob("*.root"))
    path.unlink()
    path.mkdir()  # there is something, and nobody can read it

    world.work()
    clock.forward(minutes=2)
    world.sweep()

    assert world.request("copy", request)["state"] == "done"
    assert len(world.on_disk("T2_C")) == 4


def test_what_was_learnt_of_a_link_fades(world: World, clock: Clock) -> None:
    a, b = site_id(world, "T2_A"), site_id(world, "T2_B")
    with world.ctx.begin() as work:
        links.learn(work, {(a, b): Moved(1000, 1.0)}, HALF_LIFE)
    clock.forward(days=10)
    with world.ctx.begin() as work:
        links.learn(work, {(a, b): Moved(10, 1.0)}, HALF_LIFE)
        assert links.rates(work)[a, b] == pytest.approx(11, abs=0.2)


def test_a_busy_way_does_not_hold_up_the_others_of_a_request(world: World) -> None:
    world.many("T2_A", 12)
    world.close()
    world.work()
    world.ctx = world.with_settings(work={"batch": 2}, transfer={"window": 1})
    a, b = site_id(world, "T2_A"), site_id(world, "T2_B")
    with world.ctx.begin() as work:
        work.changed(update(Site).where(Site.id == b).values(max_streams=1))
        owner = work.scalar(select(Request.owner_id).limit(1))
        row = {"owner": "slow", "user_id": owner, "source_id": a, "site_id": b}
        work.add(Stream, **row, until=work.now + timedelta(days=1))

    request = world.copy(["T2_B", "T2_C"], consolidate=False)
    world.work(rounds=1000)
    assert (len(world.on_disk("T2_B")), len(world.on_disk("T2_C"))) == (0, 12)

    throttler.leave(world.ctx, Experience(LinkKey(a, b)), Holder("slow", 30), ())
    world.work(rounds=1000)
    assert len(world.on_disk("T2_B")) == 12
    assert world.request("copy", request)["state"] == "done"


def test_deletions_at_a_site_that_keeps_failing_rest_too(world: World, clock: Clock) -> None:
    world.ctx = world.with_settings(deletion={"grace_hours": 0}, block={"max_files": 50})
    world.many("T2_A", 10)
    world.close()
    world.work()
    break_site(world, "T2_A")
    request = world.delete()
    world.work()
    with world.ctx.begin.reading() as work:
        rests = select(Breaker.operation).where(Breaker.until > work.now)
        assert work.scalars(rests) == ["delete"]

    clock.forward(seconds=40)
    world.sweep()
    assert {one["reason"] for one in world.problems("deletion", request)} == {"site-failing"}
    clock.forward(seconds=60)
    world.sweep()
    with world.ctx.begin.reading() as work:
        assert sorted(work.scalars(select(Deletion.attempts))) == [1] * 7 + [2] * 3

    mend_site(world, "T2_A")
    for _ in range(4):
        clock.forward(minutes=3)
        world.sweep()
    assert world.request("deletion", request)["state"] == "done"
    assert world.on_disk("T2_A") == {}


def test_a_copy_says_that_it_waits_for_a_site_that_keeps_failing(
    world: World, clock: Clock
) -> None:
    world.many("T2_A", 8)
    world.close()
    world.work()
    break_site(world, "T2_B")
    request = world.copy("T2_B", consolidate=False)
    world.work()
    clock.forward(seconds=40)
    world.sweep()
    clock.forward(seconds=0)
    world.run("plan", (request,))
    shown = world.request("copy", request)
    assert shown["reason"] == "site-failing"
    assert str(shown["detail"]).startswith("waiting: site T2_B write breaker open until")
    mend_site(world, "T2_B")
    for _ in range(5):
        clock.forward(minutes=3)
        world.sweep()
    assert world.request("copy", request)["state"] == "done"


def test_a_file_that_is_bad_on_disk_is_read_from_tape(world: World, clock: Clock) -> None:
    world.site("T1_TAPE", kind="tape")
    world.many("T2_A", 4)
    world.close()
    world.work()
    world.copy("T1_TAPE", consolidate=False)
    world.work()
    assert len(world.on_disk("T1_TAPE")) == 4
    world.path("T2_A", lfn("T2_A_1.root")).write_bytes(b"rotten")

    request = world.copy("T2_B", consolidate=False)
    world.work()
    clock.forward(minutes=2)
    world.sweep()

    assert world.request("copy", request)["state"] == "done"
    assert len(world.on_disk("T2_B")) == 4
    with world.ctx.begin.reading() as work:
        assert work.rows(select(Incident.site, Incident.kind)) == [("T2_A", "corrupt")]
