"""Measures of each simulated day for operators."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import NotNullable, Select, exists, func, select

from dynamo.db.engine.expressions import total
from dynamo.db.engine.unit_of_work import Work
from dynamo.db.tables import (
    BlockReplica,
    Cycle,
    Dataset,
    Decision,
    Deletion,
    File,
    History,
    Incident,
    Quota,
    Request,
    Site,
    Transfer,
)
from dynamo.inventory.states import (
    CycleKind,
    IncidentKind,
    Origin,
    ReplicaState,
    RequestKind,
    RequestState,
    SiteStatus,
)
from dynamo.operations.lifecycle import OPEN, State
from dynamo.services.context import Context
from dynamo.services.maintenance import invariants
from dynamo.simulation import interventions
from dynamo.simulation.interventions import Intervention, Look
from dynamo.simulation.standing import RequestStanding


@dataclass(frozen=True, slots=True)
class Day:
    """One simulated day, at its end."""

    day: int
    occupancy: float
    """Used bytes ÷ quota, over all disk sites."""
    fullest: float
    """The same of the fullest partition at any ready site, to which watermarks refer."""
    emptiest: float
    """The same of the emptiest ready site."""
    relieved: float | None
    """The same of the emptiest partition in which Detox deleted today, with its largest item
    counted as kept: never under the lower watermark. None without deletions."""
    accesses: int
    found: int
    """Accesses with complete data on the disk of a ready site."""
    moved: int
    deleted: int
    """Bytes of this day."""
    waiting: int
    """Bytes in open transfers."""
    held: Mapping[str, int]
    """Held transfers, by reason."""
    sites: Mapping[str, int]
    """Sites by status."""
    dying: int
    """Bytes at sites in the morgue, without condemned ones."""
    lost: int
    """Lost files that were not injected again."""
    unexplained: int
    """Transfers and requests that wait or are held without a reason or a next try."""
    needs: Sequence[Intervention]
    """Matters that need a person."""
    broken: Sequence[str]
    """Invariants that do not hold."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """Counters of a day that the inventory does not have."""

    accesses: int
    found: int
    moved: int
    deleted: int


@dataclass(frozen=True, slots=True)
class Evening:
    """The input of the measures besides the inventory."""

    began: datetime
    """Start of the day."""
    standing: RequestStanding
    silent: Collection[str]
    """Endpoints that do not answer."""


@dataclass(frozen=True, slots=True)
class Left:
    """A dataset that left a disk."""

    day: int
    dataset: str
    site: str
    bytes: int
    why: str | None


def measure(ctx: Context, day: int, traffic: Traffic, evening: Evening) -> Day:
    """Return the measures at the end of a day."""
    violations = [found for found in invariants.check(ctx) if not found.is_warning]
    with ctx.begin.snapshot() as work:
        shares = _shares(work)
        used, quota = sum(used for used, _ in shares), sum(quota for _, quota in shares)
        return Day(
            day,
            used / quota if quota else 0.0,
            _fullest(work),
            min((used / quota for used, quota in shares), default=0.0),
            _relieved(work, evening.began),
            traffic.accesses,
            traffic.found,
            traffic.moved,
            traffic.deleted,
            _waiting(work),
            _held(work),
            _counted(work, select(Site.status, func.count()).group_by(Site.status)),
            _dying(work),
            int(work.scalar(select(func.count()).where(*_LOST)) or 0),
            _unexplained(work),
            interventions.find(_look(ctx, work, evening)),
            [f"{found.name}: {found.subject} {found.sentence}" for found in violations],
        )


def _look(ctx: Context, work: Work, evening: Evening) -> Look:
    times = ctx.settings.site
    waits, lost = timedelta(days=times.morgue_days), timedelta(days=times.lost_days)
    return Look(work, evening.standing, evening.silent, waits, lost)


_LOST = (Incident.kind == IncidentKind.LOST, Incident.ended.is_(None))
_READY = (Site.kind == "disk", Site.status == "ready")
_LIMITED = (*_READY, Quota.max_bytes > 0)


def _shares(work: Work) -> list[tuple[int, int]]:
    """Return used bytes and quota of each ready disk site with a quota."""
    sums = select(total(Quota.used), total(Quota.max_bytes))
    at_sites = sums.join(Site, Site.id == Quota.site_id).where(*_LIMITED).group_by(Site.id)
    return [(used, quota) for used, quota in work.rows(at_sites)]


def _fullest(work: Work) -> float:
    shares = select(func.max(Quota.used * 1.0 / Quota.max_bytes))
    return float(work.scalar(shares.join(Site, Site.id == Quota.site_id).where(*_LIMITED)) or 0.0)


def _relieved(work: Work, since: datetime) -> float | None:
    """Return the occupancy of the emptiest partition in which Detox deleted since a time.

    Its largest item counts as kept: the last deletion passes the watermark. Condemned is deleted.
    """
    items = (
        select(Site.id.label("site_id"), Cycle.partition_id, func.sum(Decision.bytes).label("item"))
        .join(Cycle, Cycle.id == Decision.cycle_id)
        .join(Site, Site.name == Decision.site)
        .where(Cycle.kind == CycleKind.DETOX, Cycle.dry_run.is_(False), Cycle.created >= since)
        .where(Decision.action == "delete", Decision.refused.is_(None), *_READY)
        .group_by(Site.id, Cycle.partition_id, Cycle.id, Decision.dataset)
        .subquery()
    )
    join = (BlockReplica.site_id == Quota.site_id, BlockReplica.partition_id == Quota.partition_id)
    used_bytes = select(func.coalesce(func.sum(BlockReplica.bytes), 0))
    used_bytes = used_bytes.where(*join, BlockReplica.state == ReplicaState.VALID)
    rows = work.rows(
        select(func.max(items.c.item), used_bytes.scalar_subquery(), Quota.max_bytes)
        .select_from(items)
        .join(Quota, Quota.site_id == items.c.site_id)
        .where(Quota.partition_id == items.c.partition_id, Quota.max_bytes > 0)
        .group_by(Quota.site_id, Quota.partition_id, Quota.max_bytes)
    )
    return min(((int(item) + int(used)) / quota for item, used, quota in rows), default=None)


def _waiting(work: Work) -> int:
    coming = Transfer.state.in_((State.QUEUED, State.ACTIVE, State.HELD))
    joined = select(total(File.size)).join(Transfer, Transfer.file_id == File.id)
    return work.value(joined.where(coming))


def _held(work: Work) -> dict[str, int]:
    columns = select(func.coalesce(Transfer.reason, "none"), func.count())
    return _counted(work, columns.where(Transfer.state == State.HELD).group_by(Transfer.reason))


def _dying(work: Work) -> int:
    left = (Site.status == SiteStatus.MORGUE, BlockReplica.state == ReplicaState.VALID)
    joined = select(total(BlockReplica.bytes)).join(Site, Site.id == BlockReplica.site_id)
    return work.value(joined.where(*left))


def _counted(work: Work, wanted: Select[str, int]) -> dict[str, int]:
    return dict(work.rows(wanted))


def _unexplained(work: Work) -> int:
    """Return the number of transfers and requests that wait or are held without explanation.

    And of copy requests that run since yesterday without an open transfer or a reason.
    """
    silent = (Transfer.state == State.HELD, Transfer.reason.is_(None))
    forgotten = (Transfer.state == State.QUEUED, Transfer.not_before.is_(None))
    asleep = (Request.state == RequestState.HELD, Request.reason.is_(None))
    moving = select(Transfer.id).join(File, File.id == Transfer.file_id)
    moving = moving.where(File.dataset_id == Dataset.id, Transfer.state.in_(OPEN))
    leaving = (Deletion.request_id == Request.id, Deletion.state.in_(OPEN))
    idle = (
        Request.kind == RequestKind.COPY,
        Request.state.in_((RequestState.QUEUED, RequestState.RUNNING)),
        Request.reason.is_(None),
        Request.created < work.now - timedelta(days=1),
        Dataset.is_open.is_(False),
        ~moving.exists(),
        ~exists().where(*leaving),
    )
    counted = (
        select(func.count(Request.id)).join(Dataset, Dataset.name == Request.dataset).where(*idle),
        select(func.count(Transfer.id)).where(*silent),
        select(func.count(Transfer.id)).where(*forgotten),
        select(func.count(Request.id)).where(*asleep),
    )
    return sum(work.value(statement) for statement in counted)


def left(work: Work, since: datetime, day: int) -> list[Left]:
    """Return what policies, not consolidations, deleted since a time, by dataset and site."""
    rows = work.rows(
        select(
            NotNullable(History.dataset),
            NotNullable(History.site),
            total(History.bytes),
            NotNullable(func.max(History.why)),
        )
        .join(Request, Request.id == History.request_id)
        .where(History.what == "condemned", History.at >= since)
        .where(Request.kind == RequestKind.DELETION, Request.origin == Origin.CYCLE)
        .group_by(History.dataset, History.site)
        .order_by(History.dataset, History.site)
    )
    return [Left(day, *row) for row in rows]


@dataclass(frozen=True, slots=True)
class Unfit:
    """A copy of a campaign that is not done, and the reasons."""

    dataset: str
    since: int
    """The day of its request."""
    bytes: int
    done: int
    state: str
    reasons: Mapping[str, int]


def unfit(work: Work, datasets: Sequence[str], begun: datetime) -> list[Unfit]:
    """Return the copies of these datasets that are not done; days count from `begun`."""
    columns = (
        Request.id,
        Request.dataset,
        Request.state,
        Request.bytes_done,
        Dataset.bytes,
        Request.reason,
        Request.created,
    )
    rows = work.rows(
        select(*columns)
        .join(Dataset, Dataset.name == Request.dataset)
        .where(
            Request.kind == RequestKind.COPY,
            Request.state != "done",
            Request.dataset.in_(list(datasets)),
        )
        .order_by(Request.id)
    )
    copies = []
    for request_id, dataset, state, done, size, reason, created in rows:
        own_transfers = (Transfer.request_id == request_id, Transfer.reason.is_not(None))
        waits = select(NotNullable(Transfer.reason), func.count()).where(*own_transfers)
        reasons = _counted(work, waits.group_by(Transfer.reason))
        if reason is not None:
            reasons.setdefault(reason, 1)
        day = 1 + (created - begun).days
        copies.append(Unfit(dataset, day, size, done, state, reasons))
    return copies
