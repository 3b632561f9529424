"""Scans: filed by beat or by an operator, and shown."""

from datetime import timedelta

from dynamo.db.consistency import remedies, scans
from dynamo.db.consistency.remedies import RemedyRow
from dynamo.db.consistency.scans import ScanRow
from dynamo.db.engine.unit_of_work import Work, retried
from dynamo.db.history import Event, record
from dynamo.errors import Conflict, NotFound
from dynamo.inventory import schemas
from dynamo.inventory.callers import SYSTEM, Caller
from dynamo.inventory.states import RemedyKind, RequestState
from dynamo.operations.hints import Hint
from dynamo.reasons import Reason
from dynamo.services import site_lookup
from dynamo.services.context import Context
from dynamo.services.pagination import Item, Page, PageRequest, page


@retried
def file(ctx: Context, body: schemas.ScanBody, caller: Caller) -> int:
    """File a scan of a site. Raises Conflict while another scan of it is open."""
    with ctx.begin() as work:
        site_id = site_lookup.site(work, body.site).id
        scans.give_up(work)
        running = None if body.dry_run else scans.open_one(work, site_id)
        if running is not None:
            raise Conflict(f"scan {running} of {body.site} is under way", Reason.IN_USE)
        scan_id = scans.file(work, site_id, caller.name, dry_run=body.dry_run)
        work.hint(hint(scan_id, body.site))
        return scan_id


@retried
def due(ctx: Context) -> int:
    """File scans of sites without a recent one; return their number."""
    with ctx.begin() as work:
        since = work.now - timedelta(hours=ctx.settings.consistency.every_hours)
        sites = scans.due(work, since)
        for key, name in sites.items():
            work.hint(hint(scans.file(work, key, SYSTEM, dry_run=False), name))
        return len(sites)


def hint(scan_id: int, site: str) -> Hint:
    """Return the hint that starts a scan."""
    return Hint("scan", (scan_id,), f"scan {scan_id} of {site}")


def get(ctx: Context, scan_id: int) -> Item:
    """Return one scan. Raises NotFound."""
    with ctx.begin.reading() as work:
        row = scans.get(work, scan_id)
        if row is None:
            raise NotFound(f"there is no scan {scan_id}")
        return _item(row)


def list_page(ctx: Context, site: str | None, place: PageRequest) -> Page:
    """Return a page of scans, newest first."""
    with ctx.begin.reading() as work:
        rows = scans.list_page(work, site, place.span((int,)))
        return page(rows, [_item(row) for row in rows.rows])


def remedied(ctx: Context, site: str | None, place: PageRequest) -> Page:
    """Return a page of remedies and of files in quarantine."""
    with ctx.begin.reading() as work:
        rows = remedies.list_page(work, site, place.span((int,)))
        return page(rows, [_remedy(row) for row in rows.rows])


@retried
def release(ctx: Context, remedy_id: int, caller: Caller) -> Item:
    """Move a file out of quarantine to its old name. Raises NotFound, Conflict."""
    with ctx.begin() as work:
        at_rest = remedies.lock_quarantined(work, remedy_id)
        if not at_rest:
            known = _quarantined(work, remedy_id)
            raise Conflict(f"{known.lfn} is not at rest in quarantine", Reason.IN_USE)
        remedies.go_on(work, remedy_id, RemedyKind.RELEASE, work.now)
        row = _quarantined(work, remedy_id)
        work.hint(Hint("remedy", (remedy_id,), f"release {row.lfn} from quarantine"))
        record(work, [Event("release-asked", caller.name, lfn=row.lfn, site=row.site)])
        return _remedy(row)


def _quarantined(work: Work, remedy_id: int) -> RemedyRow:
    row = remedies.get(work, remedy_id)
    if row is None:
        raise NotFound(f"no file in quarantine has the number {remedy_id}")
    return row


def _item(row: ScanRow) -> Item:
    return {
        "id": row.id,
        "site": row.site,
        "state": row.state,
        "dry_run": row.dry_run,
        "owner": row.who,
        "created": row.created,
        "started": row.started,
        "ended": row.ended,
        "reason": row.reason,
        "detail": row.error,
        "summary": row.summary if row.state == RequestState.DONE else {},
        "links": {"self": link(row.id)},
    }


def link(scan_id: int) -> str:
    """Return the path of a scan."""
    return f"/v1/scans/{scan_id}"


def _remedy(row: RemedyRow) -> Item:
    waits = row.kind == RemedyKind.REMOVE
    return {
        "id": row.id,
        "site": row.site,
        "lfn": row.lfn,
        "found": row.found,
        "action": row.kind,
        "state": row.state,
        "bytes": row.size,
        "modified": row.modified,
        "quarantined": row.aside if waits else None,
        "due": row.not_before,
        "reason": row.reason,
        "detail": row.error,
        "scan": row.scan_id,
    }


def sweep(work: Work, ctx: Context) -> None:
    """Give up scans whose lease expired, and send hints for scans that no worker claimed."""
    scans.give_up(work)
    for scan_id in scans.waiting(work, ctx.again):
        work.hint(hint(scan_id, "a site, sent again"))
