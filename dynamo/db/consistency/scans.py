"""Scans: filing, claims under a lease, end, deletion."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import delete, exists, func, or_, select, update

from dynamo.db.engine import transitions
from dynamo.db.engine.expressions import Conditions
from dynamo.db.engine.pagination import PageRows, Span, cut
from dynamo.db.engine.unit_of_work import Work
from dynamo.db.sites.switches import stopped_sites
from dynamo.db.tables import Scan, Site
from dynamo.db.tables.types import Json
from dynamo.inventory.states import RequestState, SiteKind, SiteStatus
from dynamo.logs import trace
from dynamo.reasons import Reason

_AFTER_FAILURE = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class HeldScan:
    """A claimed scan, with its site."""

    id: int
    site_id: int
    site: str
    url: str
    rules: dict[str, object]
    dry_run: bool
    owner: str
    lease_no: int
    hold: timedelta


def file(work: Work, site_id: int, who: str, *, dry_run: bool) -> int:
    """Register a scan; a second open scan of a site is refused, except dry runs."""
    return work.add(
        Scan,
        site_id=site_id,
        dry_run=dry_run,
        state=transitions.start(Scan, RequestState.QUEUED),
        running_key=None if dry_run else str(site_id),
        who=who,
        trace=trace(),
        created=work.now,
        lease_no=0,
        summary={},
    )


def open_one(work: Work, site_id: int) -> int | None:
    """Return the open scan of a site, except dry runs."""
    return work.scalar(select(Scan.id).where(Scan.running_key == str(site_id)))


def claim(work: Work, scan_id: int, owner: str, hold: timedelta) -> HeldScan | None:
    """Claim a waiting scan; return None if another worker has it."""
    values: dict[str, Any] = {
        "started": work.now,
        "lease_owner": owner,
        "lease_no": Scan.lease_no + 1,
        "lease_until": work.now + hold,
    }
    if not transitions.move(work, Scan, [scan_id], RequestState.RUNNING, **values):
        return None
    columns = (Scan.site_id, Site.name, Site.url, Site.rules, Scan.dry_run, Scan.lease_no)
    site_id, site, url, rules, dry_run, lease_no = work.only(
        select(*columns).join(Site, Site.id == Scan.site_id).where(Scan.id == scan_id)
    )
    return HeldScan(scan_id, site_id, site, url, rules, dry_run, owner, lease_no, hold)


def keep(work: Work, held: HeldScan) -> bool:
    """Renew the lease; return False if it is lost."""
    until = work.now + held.hold
    return work.changed(update(Scan).where(*_mine(held)).values(lease_until=until)) == 1


def end(work: Work, held: HeldScan, state: RequestState, **values: Any) -> bool:
    """End a scan finally; return False if the lease is lost."""
    return transitions.move_where(work, Scan, _mine(held), state, **_ended(work), **values) == 1


def give_up(work: Work) -> int:
    """End scans whose lease expired; the next scan replaces them."""
    silent = (Scan.lease_until < work.now,)
    values = {"reason": Reason.WORKER_LOST, "error": "its worker died", **_ended(work)}
    return transitions.move_where(work, Scan, silent, RequestState.FAILED, **values)


def waiting(work: Work, patience: timedelta) -> list[int]:
    """Return scans that no worker claimed in time."""
    late = (Scan.state == RequestState.QUEUED, Scan.created <= work.now - patience)
    return work.scalars(select(Scan.id).where(*late).order_by(Scan.id))


def due(work: Work, before: datetime) -> dict[int, str]:
    """Return ready disk sites without a scan since a time, longest ago first, by key.

    A failed scan counts for an hour only.
    """
    counts = or_(Scan.state != RequestState.FAILED, Scan.created > work.now - _AFTER_FAILURE)
    recent = exists().where(
        Scan.site_id == Site.id, Scan.dry_run.is_(False), Scan.created > before, counts
    )
    busy = exists().where(Scan.running_key.is_not(None), Scan.site_id == Site.id)
    last = (
        select(func.max(Scan.created)).where(Scan.site_id == Site.id).correlate(Site)
    ).scalar_subquery()
    usable = (
        Site.kind == SiteKind.DISK,
        Site.status == SiteStatus.READY,
        Site.name.not_in(stopped_sites(work)),
    )
    statement = select(Site.id, Site.name).where(*usable, ~recent, ~busy)
    return dict(work.rows(statement.order_by(last, Site.id)))


def last_endpoint(work: Work, held: HeldScan) -> bytes | None:
    """Return the hash of the site's URL and rules at the previous scan, or None."""
    earlier = (
        Scan.site_id == held.site_id,
        Scan.id < held.id,
        Scan.dry_run.is_(False),
        Scan.endpoint.is_not(None),
    )
    return work.scalar(select(Scan.endpoint).where(*earlier).order_by(Scan.id.desc()).limit(1))


def forget(work: Work, before: datetime) -> int:
    """Delete scans that ended before a time, except the last scan of each site."""
    latest = select(func.max(Scan.id)).where(Scan.dry_run.is_(False)).group_by(Scan.site_id)
    kept = set(work.scalars(latest))
    old = work.scalars(select(Scan.id).where(Scan.ended < before))
    old_ids = [key for key in old if key not in kept]
    return work.changed(delete(Scan).where(Scan.id.in_(old_ids))) if old_ids else 0


class ScanRow(NamedTuple):
    """A scan, with its site's name."""

    id: int
    site: str
    state: str
    dry_run: bool
    who: str
    created: datetime
    started: datetime | None
    ended: datetime | None
    reason: str | None
    error: str | None
    summary: Json


_SHOWN = select(
    Scan.id,
    Site.name.label("site"),
    Scan.state,
    Scan.dry_run,
    Scan.who,
    Scan.created,
    Scan.started,
    Scan.ended,
    Scan.reason,
    Scan.error,
    Scan.summary,
).join(Site, Site.id == Scan.site_id)


def get(work: Work, scan_id: int) -> ScanRow | None:
    """Return a scan with its site's name, or None."""
    return work.read_one(ScanRow, _SHOWN.where(Scan.id == scan_id))


def list_page(work: Work, site: str | None, span: Span) -> PageRows[ScanRow]:
    """Return a page of scans, newest first."""
    wanted = _SHOWN if site is None else _SHOWN.where(Site.name == site)
    if span.after is not None:
        wanted = wanted.where(Scan.id < span.after[0])
    newest = wanted.order_by(Scan.id.desc()).limit(span.limit + 1)
    return cut(work.read(ScanRow, newest), span)


def _ended(work: Work) -> dict[str, Any]:
    return {"running_key": None, "lease_until": None, "ended": work.now}


def _mine(held: HeldScan) -> Conditions:
    return (
        Scan.id == held.id,
        Scan.state == RequestState.RUNNING,
        Scan.lease_owner == held.owner,
        Scan.lease_no == held.lease_no,
    )
