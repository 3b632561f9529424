"""Cycles of the Dealer, end to end: real files at three sites, and where they come to lie."""

import shutil

import pytest
from sqlalchemy import func, select, update

from dynamo.db.tables import Base, Cycle, DatasetReplica, Probe, Site, Switch
from dynamo.errors import Conflict, Invalid, NotFound
from dynamo.inventory import schemas
from dynamo.services.cycles import runner as cycles_runner
from dynamo.services.cycles import submission as cycles_submission
from dynamo.services.cycles import views as cycles_views
from dynamo.services.cycles.submission import DEALER
from dynamo.services.dealer import cycle as dealer_cycle
from dynamo.services.dealer import question as dealer_question
from dynamo.services.sites import health as site_health
from dynamo.services.sites import sites
from tests.conftest import Clock
from tests.services.world import DATASET, OPERATOR, World
from tests.steps.dealer_cycles import SITES, at, decided, run, waiting
from tests.steps.sites import read_from


def popular(world: World, jobs: int = 3) -> None:
    """Let five files lie at T2_A that jobs wait for: every 1.75 of them want a copy."""
    world.many("T2_A", 5)
    world.close()
    world.work()
    waiting(world, jobs)


def test_demand_makes_copies_and_every_copy_names_its_reason(world: World, clock: Clock):
    popular(world, jobs=5)

    cycle = run(world)
    world.work()

    assert (cycle["state"], cycle["reason"]) == ("done", None)
    assert at(world) == [5, 5, 5]
    assert cycle["summary"]["proposers"]["popularity"] == {"accepted": 2}
    assert cycle["summary"]["done"]["files"] == 10
    assert {(one["site"], one["action"], one["text"]) for one in decided(world, cycle)} == {
        (site, "copy", "popularity: copied") for site in ("T2_B", "T2_C")
    }
    told = cycles_views.why(world.ctx, DATASET, "T2_B")["items"]
    assert [(one["kind"], one["values"]["proposer"]) for one in told] == [("dealer", "popularity")]
    clock.forward(minutes=2)
    world.sweep()
    assert world.request("copy", cycle["request"])["state"] == "done"
    assert run(world)["summary"]["copies"] == 0  # there are as many as are wanted


def on_tape_only(world: World) -> None:
    """Let five files lie on tape and nowhere else."""
    world.site("T1_A_Tape", kind="tape")
    world.many("T2_A", 5)
    world.close()
    world.work()
    world.copy("T1_A_Tape")
    world.work()
    assert at(world) == [0, 0, 0]
    assert len(world.on_disk("T1_A_Tape")) == 5


def test_what_lies_only_on_tape_is_copied_to_disk(world: World):
    on_tape_only(world)
    request = world.copy("T2_B", consolidate=False)
    world.work()

    assert at(world) == [0, 5, 0]
    assert world.request("copy", request)["state"] == "done"
    assert len(world.on_disk("T1_A_Tape")) == 5


def test_demand_brings_data_from_tape(world: World):
    on_tape_only(world)
    waiting(world, jobs=3)

    cycle = run(world)
    world.work()

    assert {one["text"] for one in decided(world, cycle)} == {"popularity: copied"}
    assert sum(at(world)) == 5 * cycle["summary"]["copies"] > 0


def test_tape_is_read_only_where_no_disk_has_it(world: World):
    world.site("T1_A_Tape", kind="tape")
    world.many("T2_A", 5)
    world.close()
    world.work()
    world.copy("T1_A_Tape", consolidate=False)
    world.work()
    world.status("T2_A", "waitroom")
    request = world.copy("T2_B", consolidate=False)
    world.step("plan")

    assert read_from(world, request).keys() == {"T2_A"}


def kept(world: World) -> dict[str, list[str]]:
    """Return all that the database holds, by table."""
    with world.ctx.begin.reading() as work:
        return {
            table.name: sorted(map(str, work.rows(select(table))))
            for table in Base.metadata.sorted_tables
        }


def test_a_dry_run_keeps_its_plan_and_changes_nothing(world: World):
    popular(world)
    before = kept(world)

    cycle = run(world, dry=True)
    world.work()

    assert cycle["summary"]["copies"] == 1
    assert [one["action"] for one in decided(world, cycle)] == ["copy"]
    assert at(world) == [5, 0, 0]
    assert cycle["request"] is None
    assert {name for name, rows in kept(world).items() if rows != before[name]} == {
        "cycles",
        "decisions",
    }


def test_the_switch_stops_cycles_and_requests_and_says_so(world: World, clock: Clock):
    popular(world)
    with world.ctx.begin() as work:
        work.add(Switch, name=DEALER, stopped=True, who="root", why=None, at=clock.now)
    request = world.copy("T2_B", consolidate=False)
    world.work()

    cycle = run(world)
    world.work()

    assert at(world) == [5, 0, 0]
    assert cycle["summary"]["refused"] == {"switched-off": len(decided(world, cycle))}
    shown = world.request("copy", request)
    assert (shown["state"], shown["reason"]) == ("held", "switched-off")

    with world.ctx.begin() as work:
        work.changed(update(Switch).values(stopped=False))
    clock.forward(minutes=2)
    world.sweep()
    assert world.request("copy", request)["state"] == "done"
    assert at(world)[1] == 5


def test_one_cycle_of_a_partition_runs_at_a_time_and_beat_files_one_for_each(world: World):
    assert cycles_submission.deal(world.ctx)
    assert not cycles_submission.deal(world.ctx)

    with pytest.raises(Conflict):
        run(world)
    with world.ctx.begin.reading() as work:
        assert work.scalars(select(Cycle.kind)) == [DEALER]  # only User has quotas here
    run(world, dry=True)
    world.work()
    with world.ctx.begin.reading() as work:
        assert set(work.scalars(select(Cycle.state))) == {"done"}


def test_what_makes_no_sense_is_refused(world: World):
    body = schemas.CycleBody(kind="dealer", partition="User", dry_run=True, policy="Dismiss")
    with pytest.raises(Invalid):
        cycles_submission.file(world.ctx, body, OPERATOR)
    with pytest.raises(NotFound):
        cycles_submission.file(world.ctx, schemas.CycleBody(kind="dealer", partition="X"), OPERATOR)


def test_a_wrong_setting_of_a_proposer_ends_the_cycle_with_words(world: World):
    popular(world)
    world.ctx = world.with_settings(dealer={"proposers": {"popularity": {"treshold": 1}}})

    cycle = run(world)

    assert (cycle["state"], cycle["reason"]) == ("failed", "invalid")
    assert cycle["detail"] == "the proposer popularity has no setting treshold"


def test_new_blocks_follow_a_growing_replica(world: World):
    world.many("T2_A", 5)
    world.work()
    waiting(world, 3)
    run(world)
    world.work()
    with world.ctx.begin.reading() as work:
        growing = DatasetReplica.growing.is_(True)
        assert work.scalar(select(func.count()).select_from(DatasetReplica).where(growing)) == 1
    assert sorted(at(world)) == [0, 5, 5]

    world.many("T2_A", 5, start=5)
    world.work()
    cycle = run(world)
    world.work()

    assert sorted(at(world)) == [0, 10, 10]
    assert cycle["summary"]["proposers"]["subscriptions"] == {"accepted": 1}


def test_limits_hold_and_what_waits_says_for_what(world: World, clock: Clock):
    for start in (0, 5, 10):
        world.many("T2_A", 5, start=start)
    world.close()
    world.work()
    size = sum(map(len, world.on_disk("T2_A").values()))
    world.ctx = world.with_settings(dealer={"pending": 0.4, "pending_bytes": 0})
    quota = int(size * 1.2)
    world.site_quota("T2_B", quota)  # all three blocks fit; one at a time may be on its way
    request = world.copy("T2_B", consolidate=False)

    world.step("plan")
    assert 0 < world.projected("T2_B") <= 0.4 * quota
    shown = world.request("copy", request)
    assert (shown["state"], shown["reason"]) == ("running", "waiting")
    progress = shown["progress"]
    assert progress == {
        "files": {"total": 15, "done": 0, "failed": 0},
        "bytes": {"total": size, "done": 0},
    }
    for _ in range(4):
        world.work()
        clock.forward(minutes=2)
        world.sweep()

    assert len(world.on_disk("T2_B")) == 15
    assert world.request("copy", request)["state"] == "done"


def test_what_does_not_fit_below_the_target_occupancy_is_not_begun(world: World):
    world.many("T2_A", 5)
    world.close()
    world.work()
    world.site_quota("T2_B", int(world.projected("T2_A") / 0.94))
    request = world.copy("T2_B", consolidate=False)
    world.work()

    assert world.request("copy", request)["reason"] == "storage-full"
    assert world.projected("T2_B") == 0


def test_what_a_storage_has_left_caps_the_quota(world: World, clock: Clock):
    for start in (0, 5):
        world.many("T2_A", 5, start=start)
    world.close()
    world.work()
    site_health.send(world.ctx)
    world.work()
    here = shutil.disk_usage(world.folder).free
    assert 0.5 * here < sites.get(world.ctx, "T2_B")["probe"]["free"] < 2 * here
    size = world.projected("T2_A")
    with world.ctx.begin() as work:  # as if somebody else filled the disk
        work.changed(update(Probe).values(free=size // 2))
    request = world.copy("T2_B", consolidate=False)
    world.work()
    assert world.request("copy", request)["reason"] == "storage-full"
    assert world.projected("T2_B") == 0

    clock.forward(minutes=10)
    site_health.send(world.ctx)
    world.work()
    clock.forward(minutes=2)
    world.sweep()
    assert world.request("copy", request)["state"] == "done"


def test_what_came_since_the_probe_is_taken_off_what_was_left(world: World):
    world.many("T2_A", 5)
    world.close()
    world.work()
    size = world.projected("T2_A")
    left = dict.fromkeys(SITES, 3 * size)
    with world.ctx.begin() as work:
        keys = dict(work.rows(select(Site.name, Site.id)))
        for name, free in left.items():
            work.add(
                Probe, site_id=keys[name], at=work.now, usable=True, streak=1, free=free, used=0
            )
        inventory = dealer_question.everything(work, ())

    assert inventory.free.tolist() == [2 * size, 3 * size, 3 * size]


def test_a_cycle_is_replayed_with_its_seed(world: World):
    popular(world, jobs=3)
    body = schemas.CycleBody(kind="dealer", partition="User", dry_run=True)
    world.published.clear()
    cycle_id = cycles_submission.file(world.ctx, body, OPERATOR)
    held = cycles_runner._claim(world.ctx, cycle_id)
    assert held is not None

    plans = [
        dealer_cycle.decided(world.ctx.settings, dealer_cycle.load(world.ctx, held))
        for _ in range(2)
    ]

    first, second = ([(c.dataset, c.site, c.moves) for c in plan.each_copy()] for plan in plans)
    assert first == second
    assert first
    cycles_runner._run(world.ctx, held)
    kept = decided(world, {"id": cycle_id})
    assert [(one["dataset"], one["site"], one["bytes"]) for one in kept] == first
