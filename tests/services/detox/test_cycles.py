"""Cycles of Detox, end to end: real files at three sites, and what is left of them."""

import json
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import pytest
from sqlalchemy import func, select, update
from typer.testing import CliRunner

from dynamo.cli import detox
from dynamo.db.engine.unit_of_work import UnitOfWork
from dynamo.db.tables import (
    BlockReplica,
    Cycle,
    Dataset,
    Decision,
    Deletion,
    Group,
    History,
    Lock,
    Partition,
    Quota,
    Site,
    Switch,
)
from dynamo.errors import Conflict, Invalid, NotFound
from dynamo.inventory import schemas
from dynamo.inventory.states import RequestKind
from dynamo.operations.hints import Hint
from dynamo.services import cancellation
from dynamo.services.copies import submission as copies_submission
from dynamo.services.cycles import runner as cycles_runner
from dynamo.services.cycles import submission as cycles_submission
from dynamo.services.cycles import views as cycles_views
from dynamo.services.deletions import submission as deletions_submission
from dynamo.services.detox import cycle as detox_cycle
from dynamo.services.detox import executor as detox_executor
from dynamo.services.detox import replay as detox_replay
from dynamo.services.maintenance import invariants
from dynamo.services.pagination import PageRequest
from dynamo.services.policies import locks, placement_rules, policies
from tests.conftest import Clock
from tests.services.world import ALICE, OPERATOR, World, build, lfn
from tests.steps.detox_cycles import ONE, SITES, THREE, TWO, decided, gone, run

SPARE = {(THREE, "T2_A"), (TWO, "T2_C"), (ONE, "T2_B")}
"""Largest first, THREE leaves T2_A; each of the others then goes where its other copy is safe."""
EVERYTHING = """\
Partition User
On site.storage_type == DISK
When site.occupancy > 0.9
Until site.occupancy < 0.1
ProtectBlock blockreplica.is_locked
Delete dataset.name == /Higgs/alice-v1/USER
Dismiss
"""


@pytest.fixture
def world(begin: UnitOfWork, tmp_path: Path, published: list[Hint]) -> Iterator[World]:
    """Two of three datasets at each of three sites, all of them 95 % full.

           T2_A  T2_B  T2_C
    ONE      x     x
    TWO            x     x
    THREE    x           x
    """
    small = build(begin, tmp_path, published, block={"max_files": 2})
    for site in SITES:
        small.site(site)
    for number, (dataset, one, other) in enumerate(
        [(ONE, "T2_A", "T2_B"), (TWO, "T2_B", "T2_C"), (THREE, "T2_C", "T2_A")]
    ):
        small.many(one, 4, start=number * 4, dataset=dataset)
        small.work()
        small.close(dataset)
        small.work()
        wish = schemas.Copy(dataset=dataset, site=other, consolidate=False)
        copies_submission.file(small.ctx, wish, ALICE)
        small.work()
    for site in SITES:
        used = sum(map(len, small.on_disk(site).values()))
        small.site_quota(site, int(used / 0.95))
    yield small
    assert [str(found) for found in invariants.check(small.ctx) if not found.is_warning] == []


class Killed(BaseException):
    """The worker dies here."""


def files_of(number: int) -> set[str]:
    """Return the names of a dataset's files, by its number from 1."""
    site = SITES[number - 1]
    return {lfn(f"{site}_{place}.root") for place in range((number - 1) * 4, number * 4)}


def at(world: World, site: str) -> set[str]:
    return set(world.on_disk(site))


def enforce(world: World, text: str) -> None:
    policies.update(world.ctx, "User", schemas.PolicyBody(text=text), OPERATOR)


def lock(world: World, clock: Clock, dataset: str, hours: float) -> None:
    with world.ctx.begin() as work:
        work.add(
            Lock,
            identity=dataset.encode()[:16],
            owner="bob",
            dataset=dataset,
            block=None,
            sites=[],
            groups=[],
            why=None,
            created=clock.now,
            expires=clock.now + timedelta(hours=hours),
        )


def after_the_grace(world: World, clock: Clock) -> None:
    clock.forward(hours=25)
    world.sweep()


def test_exactly_the_right_files_go_and_every_deletion_names_its_line(world: World, clock: Clock):
    cycle = run(world)

    assert cycle["state"] == "done"
    assert at(world, "T2_A") == files_of(1) | files_of(3)  # condemned, still readable
    after_the_grace(world, clock)
    assert at(world, "T2_A") == files_of(1)
    assert at(world, "T2_B") == files_of(2)
    assert at(world, "T2_C") == files_of(3)
    assert gone(world, cycle) == SPARE
    deleted = [one for one in decided(world, cycle) if one["action"] == "delete"]
    assert {one["text"] for one in deleted} == {"Dismiss"}
    assert all(one["line"] > 0 and one["files"] == 4 for one in deleted)
    sites = {one["site"]: one for one in cycle["summary"]["sites"]}
    assert all(one["used_before"] > 0.9 * one["quota"] for one in sites.values())
    assert all(one["used_after"] < 0.85 * one["quota"] for one in sites.values())
    request = world.request("deletion", cycle["request"])
    assert request["state"] == "done"
    assert request["progress"]["files"] == {"total": 12, "done": 12, "failed": 0}
    with world.ctx.begin.reading() as work:
        why = work.scalars(select(History.why).where(History.what == "condemned"))
    assert len(why) == 6
    assert all(said.startswith("detox, line ") and said.endswith(": Dismiss") for said in why)


def test_a_second_cycle_finds_nothing_left_to_do(world: World):
    run(world)

    again = run(world)

    assert gone(world, again) == set()
    assert again["request"] is None


def test_two_beats_at_once_make_one_cycle(world: World):
    together = Barrier(2)

    def beat() -> None:
        together.wait()
        cycles_submission.due(world.ctx)

    threads = [Thread(target=beat) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    world.work()

    with world.ctx.begin.reading() as work:
        per_partition = work.rows(
            select(Cycle.partition_id, func.count()).group_by(Cycle.partition_id)
        )
    assert [count for _, count in per_partition] == [1, 1, 1, 1]


def test_two_workers_with_the_same_message_run_one_cycle(world: World):
    body = schemas.CycleBody(kind="detox", partition="User")
    cycle_id = cycles_submission.file(world.ctx, body, OPERATOR)
    with pytest.raises(Conflict):
        cycles_submission.file(world.ctx, body, OPERATOR)
    threads = [Thread(target=cycles_runner.run, args=(world.ctx, [cycle_id])) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    done = cycles_views.get(world.ctx, cycle_id)
    assert done["summary"]["condemned"]["files"] == 12
    assert world.count(Deletion) == 12


def test_a_dry_run_keeps_its_plan_and_does_nothing_else(world: World):
    before = world.count(Deletion), world.count(History)

    cycle = run(world, dry_run=True)

    assert cycle["state"] == "done"
    assert cycle["request"] is None
    assert cycle["summary"]["delete"]["files"] == 12
    assert gone(world, cycle) == SPARE
    assert (world.count(Deletion), world.count(History)) == before


def test_a_dry_run_tries_a_text_that_is_not_in_force_and_compares_it(world: World):
    cycle = run(world, dry_run=True, compare=EVERYTHING)

    found = cycle["summary"]["comparison"]
    assert [(one["dataset"], one["site"]) for one in found["only_second"]["items"]] == [
        (ONE, "T2_A"),
        (TWO, "T2_B"),
        (THREE, "T2_C"),
    ]
    assert found["only_first"]["items"] == []
    assert run(world, dry_run=True, policy=EVERYTHING)["summary"]["delete"]["files"] == 24
    assert cycle["policy"] == 1


def test_a_text_that_is_not_in_force_is_only_for_a_dry_run(world: World):
    with pytest.raises(Invalid):
        run(world, policy=EVERYTHING)


def test_a_policy_with_an_error_is_refused_and_the_old_one_stays(world: World, clock: Clock):
    with pytest.raises(Invalid) as refused:
        enforce(world, EVERYTHING.replace("site.occupancy > 0.9", "site.ocupancy > 0.9"))
    assert "site.occupancy" in refused.value.faults[0].detail
    with pytest.raises(Invalid):
        run(world, dry_run=True, policy="Partition User\n")

    run(world)
    after_the_grace(world, clock)
    assert at(world, "T2_A") == files_of(1)


def test_the_last_copy_stays_although_the_policy_says_delete(world: World, clock: Clock):
    enforce(world, EVERYTHING)

    cycle = run(world)

    after_the_grace(world, clock)
    assert at(world, "T2_A") | at(world, "T2_B") | at(world, "T2_C") == set().union(
        *(files_of(number) for number in (1, 2, 3))
    )
    assert sum(len(at(world, site)) for site in SITES) == 12
    assert cycle["summary"]["refused"] == {"last-copy": 3}
    assert {one["refused"] for one in decided(world, cycle)} == {None, "last-copy"}


@pytest.mark.parametrize("status", ["invalid", "deprecated"])
def test_of_bad_data_the_last_copy_goes(world: World, clock: Clock, status: str):
    enforce(world, EVERYTHING)
    with world.ctx.begin() as work:
        work.changed(update(Dataset).where(Dataset.name == ONE).values(status=status))

    run(world)

    after_the_grace(world, clock)
    everywhere = at(world, "T2_A") | at(world, "T2_B") | at(world, "T2_C")
    assert everywhere == files_of(2) | files_of(3)


def test_a_partition_may_let_last_copies_go(world: World, clock: Clock):
    enforce(world, EVERYTHING)
    with world.ctx.begin() as work:
        work.changed(update(Partition).values(allow_last_copy=True))

    run(world)

    after_the_grace(world, clock)
    assert [world.on_disk(site) for site in SITES] == [{}, {}, {}]


def test_copies_that_a_placement_rule_needs_stay(world: World):
    rule = {
        "replicas": ["dataset.name == /Higgs/alice-v1/USER"],
        "destinations": ["site.name in [T2_A T2_B]"],
        "sources": ["site.name == *"],
        "num_copies": 2,
        "protect": True,
    }
    text = json.dumps({"partition": "User", "rules": {"two of the first": rule}})
    told = placement_rules.update(world.ctx, "User", schemas.PolicyBody(text=text), OPERATOR)
    assert (told["version"], told["warnings"]) == (1, [])
    enforce(world, EVERYTHING.replace("Delete", "Protect replica.enforcer_protected\nDelete"))

    cycle = run(world)

    assert {dataset for dataset, _ in gone(world, cycle)} == {TWO, THREE}
    kept = {one["text"] for one in decided(world, cycle, dataset=ONE)}
    assert kept == {"Protect replica.enforcer_protected"}


def test_placement_rules_with_an_error_are_refused_and_the_old_ones_stay(world: World):
    good = '{"partition": "User", "rules": {}}'
    placement_rules.update(world.ctx, "User", schemas.PolicyBody(text=good), OPERATOR)
    for wrong in (good.replace("User", "Analysis"), good.replace("{}", "[]"), "{", '{"rules": 1}'):
        with pytest.raises(Invalid):
            placement_rules.update(world.ctx, "User", schemas.PolicyBody(text=wrong), OPERATOR)
    assert placement_rules.TEXTS.get(world.ctx, "User")["text"] == good


@pytest.mark.parametrize("named", [THREE, "/Higgs/*-v3/*"])
def test_a_lock_that_is_set_in_mid_cycle_holds_as_well(
    world: World, clock: Clock, monkeypatch: pytest.MonkeyPatch, named: str
):
    original = detox_cycle.keep

    def late(*given: Any) -> Any:
        lock(world, clock, named, hours=1)
        return original(*given)

    monkeypatch.setattr(detox_cycle, "keep", late)
    cycle = run(world)

    assert cycle["summary"]["refused"] == {"locked": 1}
    assert gone(world, cycle) == SPARE - {(THREE, "T2_A")}


def test_what_a_copy_reads_from_is_not_even_planned_to_go(world: World):
    world.site("T2_D")
    copies_submission.file(
        world.ctx, schemas.Copy(dataset=THREE, site="T2_D", consolidate=False), ALICE
    )
    world.step("plan")

    cycle_id = cycles_submission.file(
        world.ctx, schemas.CycleBody(kind="detox", partition="User", dry_run=True), OPERATOR
    )
    world.step("cycle")

    found = decided(world, cycles_views.get(world.ctx, cycle_id), dataset=THREE)
    kept = [one for one in found if "Dynamo's own rule" in one["text"]]
    assert {(one["action"], one["line"]) for one in kept} == {("protect", 0)}
    assert all(one["values"] == {"blockreplica.in_use": True} for one in kept)
    assert not {"delete"} & {one["action"] for one in found if one["site"] == kept[0]["site"]}
    world.work()


def test_a_lock_holds_until_it_expires(world: World, clock: Clock):
    enforce(world, EVERYTHING)
    lock(world, clock, ONE, hours=2)
    lock(world, clock, TWO, hours=-2)

    cycle = run(world)

    assert ONE not in {dataset for dataset, _ in gone(world, cycle)}
    assert TWO in {dataset for dataset, _ in gone(world, cycle)}
    clock.forward(hours=3)
    assert gone(world, run(world, dry_run=True)) >= {(ONE, "T2_A"), (ONE, "T2_B")}


@pytest.mark.parametrize("switch", ["detox", "deletions"])
def test_a_stop_switch_stops_the_cycle_and_is_named(world: World, clock: Clock, switch: str):
    with world.ctx.begin() as work:
        work.add(Switch, name=switch, stopped=True, who="root", why="drill", at=work.now)

    cycle = run(world)

    assert cycle["summary"]["condemned"] == {"blocks": 0, "files": 0, "bytes": 0}
    assert cycle["summary"]["refused"] == {"switched-off": 3}
    after_the_grace(world, clock)
    assert len(at(world, "T2_A")) == 8


def test_a_site_that_is_stopped_keeps_its_data(world: World, clock: Clock):
    with world.ctx.begin() as work:
        work.add(Switch, name="site:T2_B", stopped=True, who="root", why="drill", at=work.now)

    cycle = run(world)

    assert gone(world, cycle) == {(THREE, "T2_A"), (TWO, "T2_C")}
    after_the_grace(world, clock)
    assert len(at(world, "T2_B")) == 8


def test_a_worker_killed_in_mid_cycle_costs_nothing(
    world: World, clock: Clock, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(detox_executor, "BLOCKS_AT_ONCE", 1)
    condemn, calls = detox_executor.guard.condemn, []

    def dying(*given: Any, **more: Any) -> Any:
        calls.append(given)
        if len(calls) == 4:
            raise Killed
        return condemn(*given, **more)

    with monkeypatch.context() as patched:
        patched.setattr(detox_executor.guard, "condemn", dying)
        with pytest.raises(Killed):
            run(world)
    assert world.count(Deletion) == 6
    with pytest.raises(Conflict):
        run(world)

    clock.forward(seconds=1000)
    cycle = run(world)

    assert cycle["state"] == "done"
    first = cycles_views.get(world.ctx, cycle["id"] - 1)
    assert (first["state"], first["reason"]) == ("failed", "worker-lost")
    after_the_grace(world, clock)
    world.sweep()
    # what was begun at a site that is no longer too full stays as it is
    assert sorted(len(at(world, site)) for site in SITES) == [4, 4, 6]
    for one in (first, cycle):
        assert world.request("deletion", one["request"])["state"] == "done"


def test_a_worker_that_wakes_up_too_late_changes_nothing(world: World, clock: Clock):
    body = schemas.CycleBody(kind="detox", partition="User")
    cycle_id = cycles_submission.file(world.ctx, body, OPERATOR)
    held = cycles_runner._claim(world.ctx, cycle_id)
    assert held is not None
    clock.forward(seconds=1000)
    cycles_submission.sweep(world.ctx)

    cycles_runner._run(world.ctx, held)

    assert cycles_views.get(world.ctx, cycle_id)["reason"] == "worker-lost"
    assert world.count(Deletion) == world.count(Decision) == 0


def test_a_lost_message_is_found_again(world: World, clock: Clock):
    cycle_id = cycles_submission.file(
        world.ctx, schemas.CycleBody(kind="detox", partition="User"), OPERATOR
    )
    world.published.clear()
    clock.forward(minutes=5)

    cycles_submission.sweep(world.ctx)
    world.work()

    assert cycles_views.get(world.ctx, cycle_id)["state"] == "done"


def test_limits_hold_back_what_goes_beyond(world: World):
    ctx = world.with_settings(detox={"total_files": 8}, block={"max_files": 2})

    cycle_id = cycles_submission.file(
        ctx, schemas.CycleBody(kind="detox", partition="User"), OPERATOR
    )
    cycles_runner.run(ctx, [cycle_id])

    cycle = cycles_views.get(ctx, cycle_id)
    assert cycle["summary"]["delete"]["files"] == 8
    assert cycle["summary"]["held_back"]["files"] == 4
    assert cycle["summary"]["condemned"]["files"] == 8
    assert {one["action"] for one in decided(world, cycle)} >= {"delete", "held-back"}


def test_condemned_data_can_be_rescued_from_a_cycle(world: World, clock: Clock):
    cycle = run(world)

    cancellation.cancel(world.ctx, RequestKind.DELETION, cycle["request"], OPERATOR)

    after_the_grace(world, clock)
    assert [len(at(world, site)) for site in SITES] == [8, 8, 8]


def test_with_racing_deleters_no_block_loses_its_last_copy(world: World, clock: Clock):
    enforce(world, EVERYTHING)
    wishes = [
        (dataset, site)
        for dataset, sites in ((ONE, SITES[:2]), (TWO, SITES[1:]), (THREE, (SITES[2], SITES[0])))
        for site in sites
    ]
    for dataset, site in wishes:
        deletions_submission.file(world.ctx, schemas.Deletion(dataset=dataset, site=site), ALICE)
    copies_submission.file(
        world.ctx, schemas.Copy(dataset=ONE, site="T2_B", consolidate=True), ALICE
    )
    cycles_submission.file(world.ctx, schemas.CycleBody(kind="detox", partition="User"), OPERATOR)
    together = Barrier(5)

    def work(turn: int) -> None:
        together.wait()
        hints = [hint for place, hint in enumerate(waiting) if place % 4 == turn]
        small = World(world.ctx, world.folder, hints)
        while small.published:
            hint = small.published.pop(0)
            small.published.insert(0, hint)
            small.step(hint.task)

    waiting = list(world.published)
    world.published.clear()
    threads = [Thread(target=work, args=(turn,)) for turn in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    world.work()
    after_the_grace(world, clock)

    everywhere = at(world, "T2_A") | at(world, "T2_B") | at(world, "T2_C")
    assert everywhere == set().union(*(files_of(number) for number in (1, 2, 3)))


def test_a_site_that_disappears_after_the_snapshot_saves_the_other_copies(
    world: World, clock: Clock, monkeypatch: pytest.MonkeyPatch
):
    look = detox_cycle.load

    def then_lost(*given: Any) -> Any:
        seen = look(*given)
        world.status("T2_B", "morgue")
        return seen

    monkeypatch.setattr(detox_cycle, "load", then_lost)

    cycle = run(world)

    assert gone(world, cycle) == {(THREE, "T2_A"), (ONE, "T2_B")}
    assert cycle["summary"]["refused"] == {"last-copy": 1}


@pytest.mark.parametrize("hours", [-3, 3])
def test_a_clock_that_jumps_in_mid_cycle_changes_nothing(
    world: World, clock: Clock, monkeypatch: pytest.MonkeyPatch, hours: float
):
    look = detox_cycle.load

    def then_jump(*given: Any) -> Any:
        seen = look(*given)
        clock.forward(hours=hours)
        return seen

    monkeypatch.setattr(detox_cycle, "load", then_jump)

    cycle = run(world)

    assert (cycle["state"], gone(world, cycle)) == ("done", SPARE)


def test_the_time_zone_of_a_machine_changes_nothing(
    world: World, clock: Clock, monkeypatch: pytest.MonkeyPatch
):
    clock.forward(hours=5)
    text = EVERYTHING.replace(
        "Dismiss", "Dismiss dataset.last_update older_than 4 hours ago\nProtect"
    )
    plans = []
    try:
        for zone in ("UTC", "Pacific/Kiritimati", "America/Los_Angeles"):
            monkeypatch.setenv("TZ", zone)
            time.tzset()
            plans.append(decided(world, run(world, dry_run=True, policy=text)))
    finally:
        monkeypatch.undo()
        time.tzset()

    assert plans[0] == plans[1] == plans[2]
    assert {one["text"].split()[0] for one in plans[0]} == {"Delete", "Dismiss"}


def test_a_site_that_fills_up_in_mid_cycle_keeps_what_came(
    world: World, clock: Clock, monkeypatch: pytest.MonkeyPatch
):
    look = detox_cycle.load
    for site in SITES:
        world.site_quota(site, 10_000)
    enforce(world, EVERYTHING.replace("site.occupancy > 0.9", "always"))

    def then_fill(*given: Any) -> Any:
        seen = look(*given)
        world.many("T2_A", 4, start=90, dataset="/Higgs/alice-v9/USER")
        world.work()
        return seen

    monkeypatch.setattr(detox_cycle, "load", then_fill)

    cycle = run(world)
    after_the_grace(world, clock)

    assert cycle["state"] == "done"
    assert {lfn(f"T2_A_{place}.root") for place in range(90, 94)} <= at(world, "T2_A")
    everywhere = at(world, "T2_A") | at(world, "T2_B") | at(world, "T2_C")
    assert everywhere > set().union(*(files_of(number) for number in (1, 2, 3)))


def test_why_names_the_line_its_values_and_the_cycle(world: World):
    cycle = run(world)

    told = cycles_views.why(world.ctx, ONE, "T2_A")

    assert told["cycle"] == cycle["id"]
    assert [(one["action"], one["block"]) for one in told["items"]] == [("protect", None)]
    one = told["items"][0]
    assert one["text"] == "ProtectBlock blockreplica.num_full_disk_copy < 2"
    assert one["values"] == {"blockreplica.num_full_disk_copy": 1}
    with pytest.raises(NotFound):
        cycles_views.why(world.ctx, "/No/alice-such/USER", "T2_B")


def test_cycles_and_decisions_come_in_pages(world: World):
    first, second = run(world), run(world)
    place = PageRequest(None, 1)

    page = cycles_views.list_page(world.ctx, "detox", "User", place)
    older = cycles_views.list_page(world.ctx, "detox", "User", PageRequest(page.next, 1))

    assert [one["id"] for one in (*page.items, *older.items)] == [second["id"], first["id"]]
    assert older.next is None
    found, cursor = [], None
    while True:
        some = cycles_views.decided(world.ctx, first["id"], "T2_B", None, PageRequest(cursor, 1))
        found += some.items
        cursor = some.next
        if cursor is None:
            break
    assert found == decided(world, first, site="T2_B")
    assert {one["site"] for one in found} == {"T2_B"}


def test_old_cycles_are_forgotten_with_their_decisions(world: World):
    ctx = world.with_settings(detox={"keep_cycles": 2, "keep_snapshots": True})
    for _ in range(4):
        body = schemas.CycleBody(kind="detox", partition="User", dry_run=True)
        cycles_runner.run(ctx, [cycles_submission.file(ctx, body, OPERATOR)])

    assert world.count(Cycle) == 2
    snapshots = (world.folder / "cycles").iterdir()
    assert sorted(path.name for path in snapshots) == ["3.npz", "4.npz"]
    with world.ctx.begin.reading() as work:
        assert work.scalars(select(Decision.cycle_id).distinct().order_by(Decision.cycle_id)) == [
            3,
            4,
        ]


def test_what_a_cycle_saw_can_be_kept(world: World):
    ctx = world.with_settings(detox={"keep_snapshots": True})
    body = schemas.CycleBody(kind="detox", partition="User", dry_run=True)

    cycles_runner.run(ctx, [cycles_submission.file(ctx, body, OPERATOR)])

    file = world.folder / "cycles" / "1.npz"
    cycle = cycles_views.get(ctx, 1)
    again = CliRunner().invoke(detox.app, ["replay", str(file), "--json"])
    assert again.exit_code == 0, again.output
    replayed = json.loads(again.output)
    summary = {name: cycle["summary"][name] for name in replayed["summary"]}
    assert replayed["summary"] == summary
    assert replayed["decisions"] == decided(world, cycle)

    shown = CliRunner().invoke(detox.app, ["replay", str(file)])
    assert shown.exit_code == 0
    assert "a cycle of User, replayed" in shown.output


def test_another_policy_can_be_tried_on_what_a_cycle_saw(world: World, clock: Clock):
    ctx = world.with_settings(detox={"keep_snapshots": True})
    block = world.block_names()[0].partition("#")[2]
    ends = clock.now + timedelta(days=1)
    locks.update(ctx, schemas.LockBody(item=f"{ONE}#{block}", expires=ends), OPERATOR)
    body = schemas.CycleBody(kind="detox", partition="User", dry_run=True, policy=EVERYTHING)
    cycles_runner.run(ctx, [cycles_submission.file(ctx, body, OPERATOR)])
    file = world.folder / "cycles" / "1.npz"

    assert detox_replay.replay(file).decisions == decided(world, cycles_views.get(ctx, 1))
    kept = detox_replay.replay(file, EVERYTHING.replace("Dismiss", "Protect"))
    assert {one["dataset"] for one in kept.decisions if one["action"] == "delete"} == {ONE}
    bad = world.folder / "bad.npz"
    bad.write_bytes(b"PK nothing")
    with pytest.raises(Invalid, match="is not the snapshot of a cycle"):
        detox_replay.replay(bad)


@pytest.mark.parametrize("fits", [True, False])
def test_handed_over_blocks_move_to_the_partition_of_their_new_owner(world: World, fits: bool):
    """A block that production no longer wants stays with the rest of its dataset.

    Until there is room in the partition of that.
    """
    with world.ctx.begin() as work:
        work.add(Partition, name="Physics", definition="[Analysis, Production]")
        partitions = dict(work.rows(select(Partition.name, Partition.id)))
        groups = dict(work.rows(select(Group.name, Group.id)))
        dataset = work.scalar(select(Dataset.id).where(Dataset.name == ONE))
        here = work.scalar(select(Site.id).where(Site.name == "T2_A"))
        work.changed(update(Dataset).where(Dataset.id == dataset).values(name="/Higgs/Run1/AOD"))
        mine = (BlockReplica.dataset_id == dataset, BlockReplica.site_id == here)
        rows = work.rows(
            select(BlockReplica.id, BlockReplica.bytes).where(*mine).order_by(BlockReplica.id)
        )
        for row, name in zip(rows, ("analysis", "production"), strict=True):
            partition = partitions[name.capitalize()]
            size = {"projected": row.bytes, "used": row.bytes}
            limit = 2 * row.bytes if fits and name == "analysis" else row.bytes
            work.add(Quota, site_id=here, partition_id=partition, max_bytes=limit, **size)
            values = {"group_id": groups[name], "partition_id": partition}
            work.changed(update(BlockReplica).where(BlockReplica.id == row.id).values(values))
            less = {
                "projected": Quota.projected - row.bytes,
                "used": Quota.used - row.bytes,
            }
            user = (Quota.site_id == here, Quota.partition_id == partitions["User"])
            work.changed(update(Quota).where(*user).values(less))
    text = """\
Partition Physics
On site.name == T2_A
When always
Until never
DeleteBlock blockreplica.owner == production
Protect
"""
    policies.update(world.ctx, "Physics", schemas.PolicyBody(text=text), OPERATOR)
    body = schemas.CycleBody(kind="detox", partition="Physics")

    cycles_runner.run(world.ctx, [cycles_submission.file(world.ctx, body, OPERATOR)])

    cycle = cycles_views.get(world.ctx, 1)
    assert (cycle["summary"]["handed_over"], world.count(Deletion)) == (int(fits), 0)
    handed = next(one for one in decided(world, cycle) if one["action"] == "hand-over")
    assert handed["values"] == {"group": "analysis"}
    assert handed["refused"] == (None if fits else "storage-full")
    with world.ctx.begin.reading() as work:
        owners = select(BlockReplica.group_id, BlockReplica.partition_id).where(*mine).distinct()
        of_analysis = (groups["analysis"], partitions["Analysis"])
        of_production = (groups["production"], partitions["Production"])
        assert {tuple(row) for row in work.rows(owners)} == (
            {of_analysis} if fits else {of_analysis, of_production}
        )
        told = select(History.site, History.why).where(History.what == "handed-over")
        assert work.rows(told) == ([("T2_A", "detox, to analysis")] if fits else [])
