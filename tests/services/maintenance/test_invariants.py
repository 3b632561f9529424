"""Checks: a sound inventory reports nothing, each planted violation itself and nothing else."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, select, update

from dynamo.db.catalogue.names import lfn_hash
from dynamo.db.engine.unit_of_work import UnitOfWork, Work
from dynamo.db.invariants.registry import INVARIANTS
from dynamo.db.sites import switches
from dynamo.db.tables import (
    Base,
    Block,
    BlockReplica,
    Dataset,
    Deletion,
    File,
    History,
    Partition,
    Quota,
    ReplicaFile,
    Request,
    Scan,
    Site,
    Switch,
    Transfer,
    User,
)
from dynamo.services.context import Context
from dynamo.services.maintenance import invariants
from dynamo.settings import Block as BlockSettings
from dynamo.settings import Settings
from dynamo.storage.registry import Storages

A, B = 1, 2
USER, PRODUCTION = 1, 2
ALICE = 1
HIGGS, OFFICIAL = 1, 2
FULL, FILLING, LEAVING, RAW = 10, 11, 12, 20
"""Blocks: complete at A and being copied to B; open at A; condemned at B; official at A."""

FULL_A, FULL_B, FILLING_A, LEAVING_B, RAW_A = 1, 2, 3, 4, 5
"""Their replicas."""

INJECTION, COPY, DELETION = 1, 2, 3
COPIED, UPLOADED, PULLED, ARRIVED = 1, 2, 3, 4
"""Transfers."""


def sound(work: Work) -> None:
    """Insert a small inventory in which everything happens and nothing is wrong.

    file   size  block    A          B
    1       100  FULL     there      there
    2       200  FULL     there      on its way, from A
    3        10  FILLING  there
    4        20  FILLING  booked
    5         7  LEAVING             condemned with its block
    6         ?  none     to be pulled
    7, 8   1000, 2000  RAW  there
    9        50  FULL     condemned alone
    """
    now = work.now
    hour = timedelta(hours=1)
    work.add(
        User, id=ALICE, name="alice", roles=[], max_bytes=500, used=330, n_files=5, created=now
    )
    for key, name in ((A, "T2_A"), (B, "T2_B")):
        work.add(
            Site,
            id=key, name=name, kind="disk", status="ready", url=f"file:///{name}",
            rules={}, scratch=[], sources=[], created=now,
        )  # fmt: skip
    for key, name in ((USER, "User"), (PRODUCTION, "Production")):
        work.add(Partition, id=key, name=name, definition="")
    for site, partition, projected, used in (
        (A, USER, 300 + 30 + 50, 300 + 10 + 50),
        (B, USER, 300 + 7, 100 + 7),
        (A, PRODUCTION, 3000, 3000),
    ):
        values = {"max_bytes": 10_000, "projected": projected, "used": used}
        work.add(Quota, site_id=site, partition_id=partition, **values)
    for key, kind in ((INJECTION, "injection"), (COPY, "copy"), (DELETION, "deletion")):
        work.add(Request, id=key, kind=kind, state="running", **request(work))
    for key, name, owner, n_files, size in (
        (HIGGS, "/Higgs/alice-v1/USER", ALICE, 5, 330),
        (OFFICIAL, "/Higgs/Run1/RAW", None, 2, 3000),
    ):
        work.add(
            Dataset,
            id=key, name=name, owner_id=owner, partition_id=USER if owner else PRODUCTION,
            status="valid", type="unknown", is_open=True, n_files=n_files, bytes=size,
            created=now, updated=now,
        )  # fmt: skip
    block(work, FULL, HIGGS, 2, 300)
    block(work, FILLING, HIGGS, 2, 30, closed=False, closed_at=None, open_key=f"{HIGGS}@{A}")
    block(work, LEAVING, HIGGS, 1, 7, condemned_by=DELETION)
    block(work, RAW, OFFICIAL, 2, 3000)
    for key, home, size in (
        (1, FULL, 100), (2, FULL, 200), (3, FILLING, 10), (4, FILLING, 20), (5, LEAVING, 7),
        (6, None, None), (7, RAW, 1000), (8, RAW, 2000), (9, FULL, 50),
    ):  # fmt: skip
        file(work, key, home, size, condemned_by=DELETION if key == 9 else None)
    replica(work, FULL_A, FULL, A, 2, 300, complete=True, in_use=1)
    replica(work, FULL_B, FULL, B, 1, 100)
    replica(work, FILLING_A, FILLING, A, 1, 10)
    replica(work, LEAVING_B, LEAVING, B, 1, 7, complete=True, state="condemned")
    replica(work, RAW_A, RAW, A, 2, 3000, complete=True, partition_id=PRODUCTION)
    work.insert(
        ReplicaFile, [{"replica_id": FULL_B, "file_id": 1}, {"replica_id": FILLING_A, "file_id": 3}]
    )
    lease: dict[str, Any] = {
        "attempts": 0, "lost": 0, "hinted": now, "lease_no": 0, "created": now, "updated": now,
        "state": "queued", "not_before": now + hour,
    }  # fmt: skip
    pull = {**lease, "kind": "pull", "request_id": INJECTION, "site_id": A, "confirmed": True}
    copied = {"kind": "copy", "request_id": COPY, "site_id": B}
    work.add(
        Transfer, id=COPIED, file_id=2, replica_id=FULL_B, source_id=FULL_A, **{**pull, **copied}
    )
    work.add(
        Transfer,
        id=UPLOADED, file_id=4, replica_id=FILLING_A, expires=now + hour,
        **{**pull, "kind": "upload", "confirmed": False},
    )  # fmt: skip
    work.add(Transfer, id=PULLED, file_id=6, **pull)
    work.add(
        Transfer,
        id=ARRIVED,
        file_id=3,
        replica_id=FILLING_A,
        **{**pull, "state": "done", "not_before": None},
    )
    leaving = {**lease, "cause": "user", "request_id": DELETION, "partition_id": USER}
    work.add(Deletion, id=1, file_id=5, site_id=B, replica_id=LEAVING_B, bytes=7, **leaving)
    work.add(Deletion, id=2, file_id=9, site_id=A, replica_id=None, bytes=50, **leaving)


def request(work: Work, **other: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "owner_id": ALICE, "dataset": "/Higgs/alice-v1/USER", "body": {}, "n_files": 1, "n_done": 0,
        "n_failed": 0, "bytes": 0, "bytes_done": 0, "trace": "",
        "created": work.now, "updated": work.now,
    }  # fmt: skip
    return {**values, **other}


def block(work: Work, key: int, dataset: int, n_files: int, size: int, **other: Any) -> None:
    values: dict[str, Any] = {
        "dataset_id": dataset, "site_id": A, "uuid": f"uuid-{key}",
        "closed": True, "n_files": n_files,
        "bytes": size, "created": work.now, "last_file": work.now, "closed_at": work.now,
    }  # fmt: skip
    work.add(Block, id=key, **{**values, **other})


def file(work: Work, key: int, home: int | None, size: int | None, **other: Any) -> None:
    lfn = f"/store/user/dynamo/alice/{key}"
    work.add(
        File,
        id=key, dataset_id=OFFICIAL if home == RAW else HIGGS, block_id=home, lfn=lfn,
        lfn_hash=lfn_hash(lfn), size=size, adler32=None if size is None else "00000001",
        created=work.now, added=None if home is None else work.now, **other,
    )  # fmt: skip


def replica(
    work: Work, key: int, of: int, site: int, n_files: int, size: int, **other: Any
) -> None:
    values: dict[str, Any] = {
        "block_id": of, "dataset_id": OFFICIAL if of == RAW else HIGGS, "site_id": site,
        "partition_id": USER, "custodial": False, "state": "valid",
        "n_files": n_files, "bytes": size,
        "complete": False, "in_use": 0, "created": work.now, "updated": work.now,
    }  # fmt: skip
    work.add(BlockReplica, id=key, **{**values, **other})


@pytest.fixture
def ctx(begin: UnitOfWork, tmp_path: Path) -> Context:
    settings = Settings(data=tmp_path, block=BlockSettings(max_files=2, max_bytes=10_000))
    with begin() as work:
        sound(work)
    return Context(begin, settings, Storages(settings.injection.area))


# --- what may go wrong ------------------------------------------------------------


def put(table: type[Base], key: int, **values: Any) -> Callable[[Work], object]:
    """Overwrite a row."""
    row = table.__table__.c.id == key
    return lambda work: work.changed(update(table).where(row).values(**values))


def unchecked(plant: Callable[[Work], object]) -> Callable[[Work], object]:
    """Write what the database refuses."""

    def planted(work: Work) -> None:
        on_mysql = "SET SESSION check_constraint_checks = "
        switch = on_mysql if work.is_mysql else "PRAGMA ignore_check_constraints = "
        off, on = ("0", "1") if work.is_mysql else ("ON", "OFF")
        work.connection.exec_driver_sql(switch + off)
        plant(work)
        work.connection.exec_driver_sql(switch + on)

    return planted


def quota(site: int, **values: Any) -> Callable[[Work], object]:
    mine = (Quota.site_id == site, Quota.partition_id == USER)
    return lambda work: work.changed(update(Quota).where(*mine).values(**values))


def all_of(*plants: Callable[[Work], object]) -> Callable[[Work], object]:
    return lambda work: [plant(work) for plant in plants]


def overfull(work: Work) -> None:
    file(work, 10, FULL, 0)
    for plant in (
        put(Block, FULL, n_files=3),
        put(BlockReplica, FULL_A, n_files=3),
        put(Dataset, HIGGS, n_files=6),
        put(User, ALICE, n_files=6),
    ):
        plant(work)


def ago(work: Work, **by: float) -> Any:
    return work.now - timedelta(**by)


def in_replica(replica_id: int, file_id: int) -> Callable[[Work], object]:
    return lambda work: work.insert(ReplicaFile, [{"replica_id": replica_id, "file_id": file_id}])


PLANTS: dict[str, list[Callable[[Work], object]]] = {
    "block-sums": [put(Block, LEAVING, n_files=2), put(Block, LEAVING, bytes=8)],
    "dataset-sums": [put(Dataset, OFFICIAL, n_files=3), put(Dataset, OFFICIAL, bytes=2999)],
    "user-sums": [put(User, ALICE, used=329), put(User, ALICE, n_files=4)],
    "replica-sums": [put(BlockReplica, FULL_B, n_files=0), put(BlockReplica, RAW_A, n_files=1)],
    "replica-pins": [put(BlockReplica, RAW_A, in_use=1), put(BlockReplica, FULL_A, in_use=0)],
    "quota-projected": [quota(A, projected=381), quota(B, projected=300)],
    "quota-used": [quota(A, used=361), quota(B, used=0)],
    "lost-files": [
        lambda work: work.changed(delete(Transfer).where(Transfer.id == UPLOADED)),
        lambda work: work.changed(delete(Transfer).where(Transfer.id == PULLED)),
        put(Transfer, UPLOADED, state="cancelled", not_before=None),
    ],
    "overfull-blocks": [overfull],
    "second-open-blocks": [
        lambda work: block(work, 13, HIGGS, 0, 0, closed=False, closed_at=None, open_key="other")
    ],
    "odd-open-keys": [put(Block, RAW, open_key="2@1"), put(Block, FILLING, open_key=None)],
    "late-files": [lambda work: put(File, 1, added=ago(work, seconds=-1))(work)],
    "falsely-complete": [in_replica(RAW_A, 7)],
    "falsely-incomplete": [
        all_of(
            in_replica(FULL_B, 2),
            put(BlockReplica, FULL_B, n_files=2, bytes=300),
            quota(B, used=307),
        )
    ],
    "condemned-for-nothing": [put(Deletion, 1, replica_id=None)],
    "strangers": [put(BlockReplica, RAW_A, dataset_id=HIGGS), put(File, 7, dataset_id=HIGGS)],
    "old-leases": [
        lambda work: put(Transfer, COPIED, state="active", lease_until=ago(work, minutes=6))(work),
        put(Deletion, 1, state="active"),
    ],
    "never-tried": [
        put(Transfer, COPIED, not_before=None),
        put(Deletion, 1, not_before=None),
        put(Transfer, COPIED, state="held", reason="storage-full", not_before=None),
    ],
    "unknown-states": [
        unchecked(put(Deletion, 2, state="lost")),
        unchecked(put(Request, COPY, state="stuck")),
        unchecked(
            lambda work: work.add(
                Scan,
                site_id=A,
                state="lost",
                dry_run=True,
                who="op",
                trace="",
                lease_no=0,
                summary={},
                created=work.now,
            )
        ),
    ],
    "forgotten-bookings": [
        lambda work: put(
            Transfer, UPLOADED, expires=ago(work, minutes=6), not_before=ago(work, minutes=6)
        )(work)
    ],
    "stuck-requests": [
        lambda work: work.add(
            Request, kind="copy", state="queued", **request(work, updated=ago(work, hours=1))
        )
    ],
    "pins-of-the-ended": [put(Transfer, ARRIVED, source_id=RAW_A)],
    "quota-promised": [put(User, ALICE, max_bytes=15_001)],
    "unique-share-noticed": [
        all_of(put(User, ALICE, max_bytes=1), quota(A, max_bytes=460), quota(B, max_bytes=40)),
        quota(A, max_bytes=500),
    ],
    "unique-share-alarm": [
        all_of(put(User, ALICE, max_bytes=1), quota(A, max_bytes=400), quota(B, max_bytes=0)),
        quota(A, max_bytes=400),
    ],
}

DRIFTS = [
    name
    for name in PLANTS
    if name.endswith("-sums") or name in {"replica-pins", "quota-projected", "quota-used"}
]
CASES = [(name, number) for name, plants in PLANTS.items() for number in range(len(plants))]


def plant(ctx: Context, name: str, number: int = 0) -> None:
    with ctx.begin() as work:
        PLANTS[name][number](work)


# --- checking ------------------------------------------------------------


def test_a_sound_inventory_reports_nothing(ctx: Context):
    assert invariants.check(ctx) == []


def test_an_empty_inventory_reports_nothing(begin: UnitOfWork, tmp_path: Path):
    settings = Settings(data=tmp_path)
    assert invariants.check(Context(begin, settings, Storages(settings.injection.area))) == []


def test_every_invariant_has_a_planted_violation():
    assert set(PLANTS) == {invariant.name for invariant in INVARIANTS}
    assert set(DRIFTS) == {invariant.name for invariant in INVARIANTS if invariant.drift}


@pytest.mark.parametrize(("name", "number"), CASES)
def test_a_planted_violation_is_reported_and_nothing_else(ctx: Context, name: str, number: int):
    plant(ctx, name, number)
    assert {violation.name for violation in invariants.check(ctx)} == {name}


def test_only_shares_and_promises_are_warnings(ctx: Context):
    warnings = {invariant.name for invariant in INVARIANTS if invariant.severity == "warning"}
    assert warnings == {"quota-promised", "unique-share-noticed", "unique-share-alarm"}


def test_a_violation_names_the_row_and_what_it_should_be(ctx: Context):
    plant(ctx, "user-sums")
    (violation,) = invariants.check(ctx)
    assert "name alice" in violation.subject
    assert "used 329, used_should_be 330" in violation.subject
    assert str(violation).startswith("user-sums: ")


def test_what_waits_for_a_person_is_no_violation(ctx: Context):
    with ctx.begin() as work:
        put(Transfer, COPIED, state="held", reason="needs-decision", not_before=None)(work)
    assert invariants.check(ctx) == []


def test_an_unlimited_quota_or_user_promises_nothing_that_can_be_counted(ctx: Context):
    with ctx.begin() as work:
        put(User, ALICE, max_bytes=None)(work)
        quota(A, max_bytes=0)(work)
        quota(B, max_bytes=None)(work)
    found = {violation.name for violation in invariants.check(ctx)}
    assert found <= {"unique-share-alarm"}  # site A alone has no room for what lies there


# --- drift ------------------------------------------------------------


@pytest.mark.parametrize("name", DRIFTS)
def test_a_drift_stops_deletions_and_is_in_the_history(ctx: Context, name: str):
    plant(ctx, name)
    assert [violation.name for violation in invariants.run_check(ctx)] == [name]
    with ctx.begin.reading() as work:
        switch = work.row(select(Switch.stopped, Switch.who, Switch.why))
        what = work.scalars(select(History.what))
    assert switch.stopped
    assert switch.who == "check"
    assert name in switch.why
    assert what == ["switch-stopped"]


def test_other_violations_stop_nothing(ctx: Context):
    plant(ctx, "late-files")
    assert invariants.run_check(ctx)
    with ctx.begin.reading() as work:
        assert switches.stopped(work, switches.DELETIONS) == []


def test_a_switch_that_was_set_back_is_set_again_and_one_that_is_set_stays(ctx: Context):
    row = {"name": "deletions", "who": "bob", "why": "maintenance"}
    with ctx.begin() as work:
        work.insert(Switch, [{**row, "stopped": False, "at": work.now}])
    plant(ctx, "user-sums")
    invariants.run_check(ctx)
    with ctx.begin() as work:
        assert switches.stopped(work, switches.DELETIONS)
        work.changed(update(Switch).values(who="bob", why="maintenance"))
    invariants.run_check(ctx)
    with ctx.begin.reading() as work:
        assert work.scalar(select(Switch.who)) == "bob"


@pytest.mark.parametrize("name", DRIFTS)
def test_a_recount_reports_drift_alone_and_changes_nothing(ctx: Context, name: str):
    plant(ctx, name)
    plant(ctx, "late-files")
    assert [violation.name for violation in invariants.recount(ctx)] == [name]
    assert [violation.name for violation in invariants.recount(ctx)] == [name]


@pytest.mark.parametrize(("name", "number"), [case for case in CASES if case[0] in DRIFTS])
def test_a_repair_sets_sums_right_and_nothing_else(ctx: Context, name: str, number: int):
    plant(ctx, name, number)
    assert invariants.repair(ctx) == 1
    assert invariants.check(ctx) == []
    assert invariants.repair(ctx) == 0


def test_a_repair_starts_at_the_bottom(ctx: Context):
    rows = ((Block, FULL), (Dataset, HIGGS), (User, ALICE), (BlockReplica, FULL_A))
    with ctx.begin() as work:
        for number, (table, key) in enumerate(rows):
            put(table, key, n_files=90 + number)(work)
        quota(A, projected=1, used=2)(work)
    assert len(invariants.recount(ctx)) == 6
    invariants.repair(ctx)
    assert invariants.check(ctx) == []


# --- the snapshot ------------------------------------------------------------


@contextmanager
def changing(ctx: Context) -> Iterator[Work]:
    """A unit of work that has changed a block and not yet what counts it."""
    with ctx.begin() as work:
        put(Block, FILLING, bytes=31)(work)
        put(File, 4, size=21)(work)
        yield work
        put(Dataset, HIGGS, bytes=331)(work)
        put(User, ALICE, used=331)(work)
        quota(A, projected=381)(work)


def test_what_is_half_done_by_others_is_not_seen(ctx: Context):
    with changing(ctx):
        assert invariants.check(ctx) == []
    assert invariants.check(ctx) == []
