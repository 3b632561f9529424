"""Consistency on real files: what is dark is set aside, what is missing comes back or is lost."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from dynamo.db.consistency import scans as scan_rows
from dynamo.db.engine.unit_of_work import UnitOfWork
from dynamo.db.tables import BlockReplica, Incident, Remedy, Sighting, Site, Transfer
from dynamo.inventory import schemas
from dynamo.operations.hints import Hint
from dynamo.services.consistency import incidents, remedies, scanner, scans
from dynamo.services.consistency import periodic as scan_schedule
from dynamo.services.context import Context
from dynamo.services.sites import switches
from dynamo.storage.posix.storage import PosixStorage
from dynamo.storage.protocol import Folder
from tests.conftest import Clock
from tests.services.world import ALICE, OPERATOR, World, adler32, lfn
from tests.steps.spoiling import ALL, DARK, at_two_sites, by_hand, content, scan, twice, where


def old(world: World, site: str, name: str, clock: Clock, content: bytes | None = None) -> Path:
    """Let a file look as if it had lain there for days; with content, put it there by hand."""
    return by_hand(world.path(site, name), clock.now, content)


def count(world: World, table: Any) -> int:
    return world.count(table)


# --- dark ----------------------------------------------------------------------------------------


def test_a_file_put_there_by_hand_is_set_aside_after_two_sightings_and_deleted_later(
    world: World, clock: Clock
):
    at_two_sites(world)
    old(world, "T2_A", DARK, clock, b"dark")
    before = world.on_disk("T2_A")

    assert scan(world)["summary"]["names"]["dark"] == [DARK]
    clock.forward(hours=11)
    assert scan(world)["summary"]["acted"] == 0  # not far enough apart
    assert world.on_disk("T2_A") == before
    clock.forward(hours=1)
    assert scan(world)["summary"]["acted"] == 1

    quarantine = "/store/user/dynamo-quarantine/1/dark.root"
    assert world.on_disk("T2_A") == {
        **{name: data for name, data in before.items() if name != DARK},
        quarantine: b"dark",
    }
    [kept] = scans.remedied(world.ctx, "T2_A", ALL).items
    assert (kept["quarantined"], kept["action"]) == (quarantine, "remove")
    clock.forward(days=13)
    scan_schedule.tidy(world.ctx)
    world.work()
    assert quarantine in world.on_disk("T2_A")
    clock.forward(days=1, hours=1)
    scan_schedule.tidy(world.ctx)
    world.work()
    assert quarantine not in world.on_disk("T2_A")
    assert (count(world, Remedy), count(world, Sighting)) == (0, 0)


def test_a_file_in_quarantine_can_be_brought_back(world: World, clock: Clock):
    old(world, "T2_A", DARK, clock, b"mine")
    twice(world, clock)
    [kept] = scans.remedied(world.ctx, None, ALL).items

    scans.release(world.ctx, kept["id"], OPERATOR)
    world.work()

    assert world.on_disk("T2_A") == {DARK: b"mine"}
    assert count(world, Remedy) == 0


@pytest.mark.parametrize(("came", "days"), [(b"new", 4), (b"old", 4 + 13 / 24)])
def test_what_is_brought_back_does_not_replace_what_came_there_meanwhile(
    world: World, clock: Clock, came: bytes, days: float
):
    old(world, "T2_A", DARK, clock, b"old")
    twice(world, clock)
    by_hand(world.path("T2_A", DARK), clock.now, came, days)  # a twin even, of the same second
    [kept] = scans.remedied(world.ctx, None, ALL).items

    scans.release(world.ctx, kept["id"], OPERATOR)
    world.work()

    assert world.on_disk("T2_A") == {DARK: came, kept["quarantined"]: b"old"}
    [kept] = scans.remedied(world.ctx, "T2_A", ALL).items
    assert (kept["action"], kept["reason"]) == ("remove", None)


def test_what_changes_between_two_sightings_is_seen_anew(world: World, clock: Clock):
    old(world, "T2_A", DARK, clock, b"dark")
    scan(world)
    clock.forward(hours=13)
    old(world, "T2_A", DARK, clock, b"darker")

    assert scan(world)["summary"]["acted"] == 0
    clock.forward(hours=13)
    assert scan(world)["summary"]["acted"] == 1


def test_what_a_site_was_is_forgotten_when_its_address_changes(world: World, clock: Clock):
    old(world, "T2_A", DARK, clock, b"dark")
    scan(world)
    clock.forward(hours=13)
    with world.ctx.begin() as work:
        rules = {"rules": [["(.*)", f"file://{world.folder}/T2_A{{0}}"]]}
        work.changed(Site.__table__.update().where(Site.name == "T2_A").values(rules=rules))

    assert scan(world)["summary"]["acted"] == 0
    clock.forward(hours=13)
    assert scan(world)["summary"]["acted"] == 1


def test_what_is_registered_between_sighting_and_act_stays_in_its_place(world: World, clock: Clock):
    name = lfn("late.root")
    old(world, "T2_A", name, clock, b"late")
    scan(world)
    clock.forward(hours=13)
    scans.file(world.ctx, schemas.ScanBody(site="T2_A"), OPERATOR)
    world.step("scan")  # its remedy is filed, and nobody has taken it yet
    world.inject("T2_A", [world.pulled("T2_A", "late.root", b"late")])
    world.work()

    assert where(world, name) == {"T2_A": "available"}
    assert world.on_disk("T2_A") == {name: b"late"}


def test_what_is_registered_while_it_is_moved_is_brought_back(
    world: World, clock: Clock, monkeypatch: pytest.MonkeyPatch
):
    name = lfn("late.root")
    old(world, "T2_A", name, clock, b"late")
    scan(world)
    clock.forward(hours=13)
    move = PosixStorage.move

    def overtaken(storage: PosixStorage, source: str, target: str) -> None:
        if source == name:  # a transfer finds the right file in its place, and all is well
            world.inject("T2_A", [world.pulled("T2_A", "late.root", b"late")])
            world.step("inject")
            world.output_path("T2_A", "late.root").unlink()
        move(storage, source, target)

    monkeypatch.setattr(PosixStorage, "move", overtaken)
    scan(world)
    world.work()

    assert where(world, name) == {"T2_A": "available"}
    assert world.on_disk("T2_A") == {name: b"late"}


# --- missing and bad -----------------------------------------------------------------------------


def test_a_file_removed_by_hand_is_back_from_another_copy(world: World, clock: Clock):
    names = at_two_sites(world)
    world.path("T2_A", names[0]).unlink()

    found = twice(world, clock)

    assert found["summary"]["found"] == {"dark": 0, "missing": 1, "wrong": 0, "corrupt": 0}
    assert world.on_disk("T2_A")[names[0]] == content(names[0])
    assert where(world, names[0]) == {"T2_A": "available", "T2_B": "available"}
    assert scan(world)["summary"]["found"]["missing"] == 0
    with world.ctx.begin.reading() as work:
        assert work.scalars(select(BlockReplica.complete)) == [True, True]


def test_a_whole_folder_that_went_is_back_as_well(world: World, clock: Clock):
    names = at_two_sites(world)
    other = lfn("keeps.root", "bob")
    old(world, "T2_A", other, clock, b"dark, so that the listing is not empty")
    for name in names:
        world.path("T2_A", name).unlink()
    world.path("T2_A", names[0]).parent.rmdir()

    twice(world, clock)

    assert {name for name in world.on_disk("T2_A") if name in names} == set(names)


def test_each_site_mends_what_the_other_has_lost(world: World, clock: Clock):
    names = at_two_sites(world)
    world.path("T2_A", names[0]).unlink()
    world.path("T2_B", names[1]).unlink()
    scan(world, "T2_A")
    scan(world, "T2_B")
    clock.forward(hours=13)
    for site in ("T2_A", "T2_B"):  # both replicas are incomplete before either is whole again
        scans.file(world.ctx, schemas.ScanBody(site=site), OPERATOR)
    for task in ("scan", "scan", "remedy", "remedy"):
        world.step(task)
    world.work()

    for site in ("T2_A", "T2_B"):
        assert world.on_disk(site) == {name: content(name) for name in names}


def test_a_file_of_another_size_is_set_aside_and_deleted_only_when_a_good_one_is_there(
    world: World, clock: Clock
):
    names = at_two_sites(world)
    old(world, "T2_A", names[0], clock, b"short")
    scan(world)
    clock.forward(hours=13)
    scans.file(world.ctx, schemas.ScanBody(site="T2_A"), OPERATOR)
    world.step("scan")
    world.step("remedy")
    world.status("T2_B", "unknown")  # the good copy cannot be read now
    world.published.clear()
    [kept] = scans.remedied(world.ctx, "T2_A", ALL).items
    clock.forward(days=15)
    scan_schedule.tidy(world.ctx)
    world.work()

    assert world.on_disk("T2_A")[kept["quarantined"]] == b"short"
    world.status("T2_B", "ready")
    for _ in range(3):
        clock.forward(days=15)
        world.sweep()
        scan_schedule.tidy(world.ctx)
        world.work()
    assert world.on_disk("T2_A") == {name: content(name) for name in names}


def test_a_copy_that_proved_corrupt_when_it_was_read_is_mended(world: World, clock: Clock):
    names = at_two_sites(world)
    wrong = b"X" * len(content(names[0]))
    old(world, "T2_A", names[0], clock, wrong)
    world.path("T2_B", names[0]).rename(world.path("T2_B", f"{names[0]}.hidden"))
    with world.ctx.begin() as work:
        # B is read last, so that A is found out
        work.changed(BlockReplica.__table__.update().values(created=work.now))
    world.copy("T2_C", consolidate=False)
    world.work()
    clock.forward(minutes=30)
    world.sweep()
    world.path("T2_B", f"{names[0]}.hidden").rename(world.path("T2_B", names[0]))
    with world.ctx.begin.reading() as work:
        told = {(row.site, row.kind) for row in work.rows(select(Incident.site, Incident.kind))}
    assert ("T2_A", "corrupt") in told
    clock.forward(hours=13)

    assert scan(world)["summary"]["names"]["corrupt"] == [names[0]]
    scan(world, "T2_B")  # it was said to be missing there, and is not
    for _ in range(3):
        clock.forward(days=1, hours=1)
        world.sweep()
    for site in ("T2_A", "T2_B", "T2_C"):
        assert world.on_disk(site)[names[0]] == content(names[0])
    assert incidents.list_page(world.ctx, {}, ALL, ended=False).items == []


def test_the_only_copy_is_declared_lost_to_its_owner_who_drops_it(world: World, clock: Clock):
    world.many("T2_A", 3)
    world.work()
    world.close()
    world.work()
    name = lfn("T2_A_1.root")
    world.path("T2_A", name).unlink()

    twice(world, clock)

    [told] = incidents.list_page(world.ctx, {"owner": "alice"}, ALL, ended=False).items
    assert (told["kind"], told["lfn"], told["site"]) == ("lost", name, None)
    assert where(world, name) == {"T2_A": "lost"}
    scan_schedule.tidy(world.ctx)
    assert len(incidents.list_page(world.ctx, {}, ALL, ended=False).items) == 1
    world.delete(lfns=(name,), by=ALICE)
    world.work()
    clock.forward(days=2)
    world.sweep()
    scan_schedule.tidy(world.ctx)
    assert incidents.list_page(world.ctx, {}, ALL, ended=False).items == []
    with world.ctx.begin.reading() as work:
        assert work.scalars(select(BlockReplica.complete)) == [True]


def test_a_bad_file_that_is_the_only_copy_stays_where_it_lies(world: World, clock: Clock):
    world.many("T2_A", 3)
    world.work()
    name = lfn("T2_A_1.root")
    old(world, "T2_A", name, clock, b"short")

    twice(world, clock)

    assert where(world, name) == {"T2_A": "lost"}
    assert world.on_disk("T2_A")[name] == b"short"
    assert twice(world, clock)["summary"]["found"]["dark"] == 0


def test_where_the_catalogue_is_wrong_about_all_copies_none_is_deleted(world: World, clock: Clock):
    name = at_two_sites(world)[0]
    for site in ("T2_A", "T2_B"):
        old(world, site, name, clock, b"the truth")
        scan(world, site)
    clock.forward(hours=13)
    for site in ("T2_A", "T2_B"):
        scan(world, site)
    for _ in range(4):
        clock.forward(days=20)
        world.sweep()
        scan_schedule.tidy(world.ctx)
        world.work()

    for site in ("T2_A", "T2_B"):
        assert b"the truth" in world.on_disk(site).values()
    [told] = incidents.list_page(world.ctx, {"kind": "lost"}, ALL, ended=False).items
    assert told["lfn"] == name


def test_a_lost_file_of_an_open_dataset_is_whole_again_once_it_is_injected_anew(
    world: World, clock: Clock
):
    world.many("T2_A", 3)
    world.work()
    name = lfn("T2_A_1.root")
    world.path("T2_A", name).unlink()
    twice(world, clock)
    assert where(world, name) == {"T2_A": "lost"}

    world.inject("T2_A", [world.pulled("T2_A", "T2_A_1.root", content(name))])
    world.work()

    assert where(world, name) == {"T2_A": "available"}
    assert world.on_disk("T2_A")[name] == content(name)
    scan_schedule.tidy(world.ctx)
    assert incidents.list_page(world.ctx, {}, ALL, ended=False).items == []


def test_a_condemned_copy_is_rescued_where_it_is_the_last_good_one(world: World, clock: Clock):
    names = at_two_sites(world)
    world.delete(site="T2_B")
    world.work()
    world.path("T2_A", names[0]).unlink()
    scan(world)
    clock.forward(hours=13)
    scan(world)

    assert world.on_disk("T2_A") == {name: content(name) for name in names}
    clock.forward(hours=30)  # what was asked for happens after all: there is a good copy again
    world.sweep()
    clock.forward(hours=30)
    world.sweep()
    assert where(world, names[0]) == {"T2_A": "available"}
    assert world.on_disk("T2_B") == {}


def test_a_file_whose_last_source_goes_while_it_waits_is_lost(world: World, clock: Clock):
    names = at_two_sites(world)
    world.path("T2_A", names[0]).unlink()
    world.status("T2_B", "unknown")
    twice(world, clock)
    assert where(world, names[0])["T2_A"] == "held"
    world.status("T2_B", "ready")
    world.path("T2_B", names[0]).unlink()
    twice(world, clock, "T2_B")
    scan_schedule.tidy(world.ctx)
    world.work()

    assert "lost" in where(world, names[0]).values()
    [told] = incidents.list_page(world.ctx, {"kind": "lost"}, ALL, ended=False).items
    assert told["lfn"] == names[0]


# --- what proves nothing, and what stops it ------------------------------------------------------


class Cut:
    """Listings that fail, are cut short or show nothing."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        self._listing = PosixStorage.listing

    def after(self, n: int) -> None:
        """End after n folders, as if that were all."""

        def listing(storage: PosixStorage, area: str) -> Any:
            for number, folder in enumerate(self._listing(storage, area)):
                if number < n:
                    yield folder

        self._monkeypatch.setattr(PosixStorage, "listing", listing)

    def failing(self, path: str) -> None:
        """Fail in one folder, and lose what it showed."""

        def listing(storage: PosixStorage, area: str) -> Any:
            for folder in self._listing(storage, area):
                bad = folder.path == path
                yield Folder(path, [], complete=False, error="I/O error") if bad else folder

        self._monkeypatch.setattr(PosixStorage, "listing", listing)

    def empty(self) -> None:
        """Show a folder without files."""

        def listing(_storage: PosixStorage, area: str) -> Any:
            yield Folder(area, [], complete=True)

        self._monkeypatch.setattr(PosixStorage, "listing", listing)


@pytest.mark.parametrize("how", ["cut at the top", "cut", "failing", "empty", "not mounted"])
def test_a_listing_that_proves_nothing_does_nothing(
    world: World, clock: Clock, monkeypatch: pytest.MonkeyPatch, how: str
):
    at_two_sites(world)
    old(world, "T2_A", "/store/user/dynamo/aaron/dark.root", clock, b"dark")
    cut = Cut(monkeypatch)
    if how == "cut at the top":
        cut.after(1)
    elif how == "cut":
        cut.after(2)
    elif how == "failing":
        cut.failing("/store/user/dynamo/alice")
    elif how == "empty":
        cut.empty()
    else:
        (world.folder / "T2_A").rename(world.folder / "away")
        (world.folder / "T2_A").mkdir()
    told = twice(world, clock)

    if how == "not mounted":
        (world.folder / "T2_A").rmdir()
        (world.folder / "away").rename(world.folder / "T2_A")
    names = told["summary"].get("names", {"missing": []})
    assert names["missing"] == []
    assert (told["state"], count(world, Transfer)) in {("done", 4), ("failed", 4)}
    assert count(world, Incident) == 0
    with world.ctx.begin.reading() as work:
        assert work.scalars(select(BlockReplica.complete)) == [True, True]


def test_each_site_is_scanned_once_a_day_and_again_an_hour_after_a_failure(
    world: World, clock: Clock
):
    def filed(site: str) -> int:
        scan_schedule.tidy(world.ctx)
        world.work()
        return len(scans.list_page(world.ctx, site, ALL).items)

    at_two_sites(world)
    world.status("T2_C", "waitroom")
    (world.folder / "T2_B").rename(world.folder / "away")
    assert [filed(site) for site in ("T2_A", "T2_B", "T2_C")] == [1, 1, 0]
    (world.folder / "away").rename(world.folder / "T2_B")
    clock.forward(hours=1)
    assert [filed(site) for site in ("T2_A", "T2_B")] == [1, 2]
    clock.forward(hours=22)
    assert [filed(site) for site in ("T2_A", "T2_B")] == [1, 2]
    clock.forward(hours=1)
    assert [filed(site) for site in ("T2_A", "T2_B")] == [2, 2]
    assert {one["state"] for one in scans.list_page(world.ctx, "T2_B", ALL).items} == {
        "failed",
        "done",
    }


def test_a_scan_whose_worker_died_is_given_up_and_the_next_one_runs(world: World, clock: Clock):
    scan_id = scans.file(world.ctx, schemas.ScanBody(site="T2_A"), OPERATOR)
    with world.ctx.begin() as work:
        assert scan_rows.claim(work, scan_id, "dead", timedelta(seconds=30)) is not None
    clock.forward(minutes=1)

    assert scan(world)["state"] == "done"
    assert scans.get(world.ctx, scan_id)["reason"] == "worker-lost"


def test_above_a_limit_nothing_is_done_and_the_next_scan_goes_on_once_it_is_raised(
    world: World, clock: Clock
):
    names = at_two_sites(world)
    old(world, "T2_A", DARK, clock, b"dark")
    world.path("T2_A", names[0]).unlink()
    free = world.ctx
    tight = {"max_files": 0, "few": 0}
    world.ctx = replace(free, settings=world.with_settings(consistency=tight).settings)
    before = world.on_disk("T2_A")
    told = twice(world, clock)
    assert "at most 0 may be" in told["summary"]["held"]
    assert world.on_disk("T2_A") == before

    world.ctx = free
    assert scan(world)["summary"]["acted"] == 2
    assert DARK not in world.on_disk("T2_A")


def test_a_dry_run_changes_and_remembers_nothing(world: World, clock: Clock):
    names = at_two_sites(world)
    old(world, "T2_A", DARK, clock, b"dark")
    world.path("T2_A", names[0]).unlink()
    before = world.on_disk("T2_A")

    scan(world, dry_run=True)
    clock.forward(hours=13)
    told = scan(world, dry_run=True)

    assert told["summary"]["names"]["dark"] == [DARK]
    assert told["summary"]["names"]["missing"] == [names[0]]
    assert world.on_disk("T2_A") == before
    assert (count(world, Sighting), count(world, Remedy)) == (0, 0)


def test_the_switch_stops_what_is_filed_and_what_is_at_work(world: World, clock: Clock):
    old(world, "T2_A", DARK, clock, b"dark")
    scan(world)
    clock.forward(hours=13)
    scans.file(world.ctx, schemas.ScanBody(site="T2_A"), OPERATOR)
    world.step("scan")
    switches.update(world.ctx, "consistency", schemas.SwitchBody(stopped=True), OPERATOR)
    world.work()
    assert DARK in world.on_disk("T2_A")
    assert scan(world)["summary"]["held"] == "switched off"

    switches.update(world.ctx, "consistency", schemas.SwitchBody(stopped=False), OPERATOR)
    clock.forward(minutes=5)
    scan_schedule.tidy(world.ctx)
    world.work()
    assert DARK not in world.on_disk("T2_A")


def test_the_switch_stops_a_batch_in_its_midst(
    world: World, clock: Clock, monkeypatch: pytest.MonkeyPatch
):
    names = [f"/store/user/dynamo/bob/{n}.root" for n in range(6)]
    for name in names:
        old(world, "T2_A", name, clock, b"dark")
    move = PosixStorage.move

    def stopped(storage: PosixStorage, source: str, target: str) -> None:
        move(storage, source, target)
        switches.update(world.ctx, "site:T2_A", schemas.SwitchBody(stopped=True), OPERATOR)

    monkeypatch.setattr(PosixStorage, "move", stopped)
    twice(world, clock)

    assert len([name for name in names if name in world.on_disk("T2_A")]) == 5


# --- beside other work ---------------------------------------------------------------------------


BUSY = "/Busy/alice-v1/USER"


def arrive(world: World, start: int) -> None:
    """Let ten files be pulled at A, and one be uploaded at B."""
    world.many("T2_A", 10, start=start, dataset=BUSY)
    up = schemas.InjectedFile(lfn=lfn(f"up_{start}.root"), size=8, adler32=adler32(b"uploaded"))
    booking = world.inject("T2_B", [up], BUSY)
    world.upload(booking, b"uploaded")
    world.confirm(booking)
    world.work()


def unheard(ctx: Context, world: World, clock: Clock) -> Context:
    """Announce no scans, which the world's pools might take before whoever filed them."""

    def publish(hints: Sequence[Hint]) -> None:
        world.published.extend(hint for hint in hints if hint.task != "scan")

    return replace(ctx, begin=UnitOfWork(ctx.begin.engine, publish=publish, clock=clock))


def test_scans_beside_injections_find_what_hands_did_and_touch_nothing_that_comes(
    world: World, clock: Clock
):
    """Two sites are scanned without patience while bookings, uploads, pulls and copies go on."""
    names = at_two_sites(world, 8)
    clock.now = datetime.now(UTC) + timedelta(days=2)  # so that no file is young
    no_patience = {"young_hours": 0, "apart_hours": 0.000001}
    patient = world.with_settings(block={"max_files": 5}, consistency=no_patience)
    eager = unheard(patient, world, clock)
    old(world, "T2_A", DARK, clock, b"dark")
    world.path("T2_B", names[0]).unlink()
    over = threading.Event()

    def scans_go_on() -> list[dict[str, Any]]:
        found = []
        while not over.is_set():
            for site in ("T2_A", "T2_B"):
                scan_id = scans.file(eager, schemas.ScanBody(site=site), OPERATOR)
                scanner.scan(eager, [scan_id])
                with eager.begin.reading() as work:
                    ids = work.scalars(select(Remedy.id))
                remedies.remedy(eager, ids)
                found.append(scans.get(eager, scan_id)["summary"])
        return found

    with ThreadPoolExecutor(1) as pool:
        scanned = pool.submit(scans_go_on)
        try:
            for start in range(10, 1000, 10):
                arrive(world, start)
                clock.forward(seconds=1)
                if start >= 100 and not (DARK in world.on_disk("T2_A") or world.count(Sighting)):
                    break
        finally:
            over.set()
        found = scanned.result()
    world.work()
    seen = {(kind, name) for one in found for kind in one["names"] for name in one["names"][kind]}
    assert seen == {("dark", DARK), ("missing", names[0])}
    assert not any(summary["young"] for summary in found)
    last = {lfn(f"T2_A_{n}.root") for n in range(10, start + 10)}
    assert world.on_disk("T2_A").keys() >= {*names, *last}
    assert world.on_disk("T2_B")[names[0]] == content(names[0])
    assert count(world, Remedy) == 1  # what lies in quarantine
