"""Scans: filed by beat or by an operator, shown with what they found."""

from datetime import timedelta
from typing import Any

from dynamo.db.consistency import remedies, scans
from dynamo.db.consistency.remedies import Act
from dynamo.db.engine.unit_of_work import Work, retried
from dynamo.db.history import Event, record
from dynamo.errors import Conflict, NotFound
from dynamo.inventory import schemas
from dynamo.inventory.callers import SYSTEM, Caller
from dynamo.inventory.states import RequestState
from dynamo.operations.hints import Hint
from dynamo.reasons import Reason
from dynamo.services import site_lookup
from dynamo.services.context import Context
from dynamo.services.pagination import Item, Page, PageRequest, page


@retried
def file(ctx: Context, body: schemas.ScanBody, caller: Caller) -> int:
    """File a scan of a site. Raises Conflict while another one of it is under way."""
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
    """File scans of sites that were not looked at for long; return how many."""
    with ctx.begin() as work:
        since = work.now - timedelta(hours=ctx.settings.consistency.every_hours)
        rows = scans.due(work, since)
        for row in rows:
            work.hint(hint(scans.file(work, row.id, SYSTEM, dry_run=False), row.name))
        return len(rows)


def hint(scan_id: int, site: str) -> Hint:
    """Return the message that sends a scan to the pool."""
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
    """Return a page of what is being done about files and of what lies in quarantine."""
    with ctx.begin.reading() as work:
        rows = remedies.list_page(work, site, place.span((int,)))
        return page(rows, [_remedy(row) for row in rows.rows])


@retried
def release(ctx: Context, remedy_id: int, caller: Caller) -> Item:
    """Bring a file out of quarantine to where it lay. Raises NotFound, Conflict."""
    with ctx.begin() as work:
        row = remedies.quarantined(work, remedy_id)
        if row is None:
            known = remedies.get(work, remedy_id)
            if known is None:
                raise NotFound(f"nothing lies in quarantine under the number {remedy_id}")
            raise Conflict(f"{known.lfn} is not at rest in quarantine", Reason.IN_USE)
        remedies.go_on(work, remedy_id, Act.RELEASE, work.now)
        work.hint(Hint("remedy", (remedy_id,), f"release {row.lfn} from quarantine"))
        shown = _remedy(remedies.get(work, remedy_id))
        event = Event("release-asked", caller.name, lfn=row.lfn, site=shown["site"])
        record(work, [event])
        return shown


def _item(row: Any) -> Item:
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
        "links": {"self": f"/v1/scans/{row.id}"},
    }


def _remedy(row: Any) -> Item:
    waits = row.kind == Act.REMOVE
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
    """Give up scans whose workers fell silent, send those again that nobody took."""
    scans.give_up(work)
    for scan_id in scans.waiting(work, ctx.again):
        work.hint(hint(scan_id, "a site, that nobody took"))
