"""The scanner: lists a site between two reads of the catalogue, and decides about differences.

The catalogue before and after the listing covers all changes meanwhile. The scanner moves no files:
it files remedies, which look again before they touch a file.
"""

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from secrets import token_hex

from dynamo.consistency.decision import Kind, ScanLimits, ScanVerdict, Sighting, is_same, judge
from dynamo.db.consistency import incidents, remedies, scans, sightings
from dynamo.db.consistency.scans import HeldScan
from dynamo.db.consistency.sightings import SightingRow
from dynamo.db.engine.unit_of_work import Work, retried
from dynamo.db.history import Event, record
from dynamo.db.sites import switches
from dynamo.errors import DynamoError
from dynamo.inventory.callers import SYSTEM
from dynamo.inventory.states import RequestState
from dynamo.logs import logger
from dynamo.operations.hints import hints
from dynamo.points import Point, reached
from dynamo.reasons import Reason
from dynamo.services.consistency.listing import Result, compare_site
from dynamo.services.consistency.temporaries import clean
from dynamo.services.context import Context
from dynamo.settings import Settings

log = logger("consistency")

_SHOWN = 100
"""Limit of names per kind that a scan shows."""
_REMEMBERED = 10_000
"""Limit of new sightings per scan; the next scan continues."""


class ScanLost(Exception):
    """The lease of the scan is lost: write nothing."""


def scan(ctx: Context, scan_ids: Sequence[int]) -> None:
    """Run waiting scans: list, compare, and file remedies unless it is a dry run."""
    for scan_id in scan_ids:
        held = _claim(ctx, scan_id)
        if held is not None:
            reached(Point.SCAN_CLAIMED)
            _run(ctx, held)


@retried
def _claim(ctx: Context, scan_id: int) -> HeldScan | None:
    hold = timedelta(seconds=ctx.settings.consistency.lease_seconds)
    with ctx.begin() as work:
        return scans.claim(work, scan_id, token_hex(12), hold)


def _run(ctx: Context, held: HeldScan) -> None:
    try:
        result = compare_site(ctx, held, lambda: _renew(ctx, held))
        reached(Point.SCANNED)
        _record(ctx, held, result)
        reached(Point.SCAN_RECORDED)
        if not held.dry_run:
            clean(ctx, held)
    except ScanLost:
        log.warning("scan lost its lease", scan=held.id)
    except DynamoError as error:
        log.warning("scan failed", site=held.site, reason=error.reason, detail=error.detail)
        _fail(ctx, held, error.reason, error.detail)
    except Exception:
        _fail(ctx, held, Reason.INTERNAL, "a fault of Dynamo; see its log")
        raise


@retried
def _fail(ctx: Context, held: HeldScan, reason: Reason, detail: str) -> None:
    with ctx.begin() as work:
        scans.end(work, held, RequestState.FAILED, reason=reason, error=detail[:1000])


@retried
def _renew(ctx: Context, held: HeldScan) -> None:
    with ctx.begin() as work:
        _fence(work, held)


def _fence(work: Work, held: HeldScan) -> None:
    if not scans.keep(work, held):
        raise ScanLost(held.id)


# --- recording -----------------------------------------------------------------------------------


def limits(settings: Settings) -> ScanLimits:
    """Return the limits of the settings."""
    consistency = settings.consistency
    return ScanLimits(
        timedelta(hours=consistency.young_hours),
        timedelta(hours=consistency.apart_hours),
        consistency.max_files,
        consistency.max_bytes,
        consistency.max_share,
        consistency.few,
    )


@retried
def _record(ctx: Context, held: HeldScan, result: Result) -> None:
    """Decide and record in one transaction, under the scan's lease."""
    with ctx.begin() as work:
        _fence(work, held)
        rows, endpoint = _earlier(work, held)
        earlier = {
            lfn: Sighting(Kind(row.kind), row.first, row.size, row.modified)
            for lfn, row in rows.items()
        }
        verdict = judge(
            result.findings,
            _with_reports(earlier, result),
            result.n_files,
            limits(ctx.settings),
            work.now,
        )
        stopped = bool(switches.stopped(work, switches.CONSISTENCY))
        filed = 0
        if not held.dry_run:
            filed = 0 if stopped else _act(work, ctx, held, verdict)
            acted = {finding.lfn for finding in verdict.due} if not stopped else set()
            _remember(work, held, verdict, rows, result, acted)
            incidents.end_at(work, held.site, result.cleared)
        summary = _summary(result, verdict, filed, "switched off" if stopped else None)
        if verdict.held is not None:
            log.error("scan held", site=held.site, why=verdict.held)
            record(work, [Event("scan-held", SYSTEM, site=held.site, why=verdict.held)])
        scans.end(work, held, RequestState.DONE, summary=summary, endpoint=endpoint)


def _earlier(work: Work, held: HeldScan) -> tuple[dict[str, SightingRow], bytes]:
    """Return the sightings at the site; none if its URL or rules have changed."""
    text = json.dumps([held.url, held.rules], sort_keys=True)
    endpoint = hashlib.blake2b(text.encode(), digest_size=16).digest()
    last = scans.last_endpoint(work, held)
    if last in {None, endpoint}:
        return sightings.of_site(work, held.site_id), endpoint
    if not held.dry_run:
        sightings.forget_site(work, held.site_id)
    return {}, endpoint


def _with_reports(earlier: Mapping[str, Sighting], result: Result) -> dict[str, Sighting]:
    """Return sightings, with each report of a bad copy as the first one."""
    reported = {
        finding.lfn: Sighting(
            Kind.CORRUPT, result.reported[finding.lfn], finding.size, finding.modified
        )
        for finding in result.findings
        if finding.kind is Kind.CORRUPT
    }
    return {**reported, **earlier}


def _act(work: Work, ctx: Context, held: HeldScan, verdict: ScanVerdict) -> int:
    ids = remedies.add(work, held.site_id, held.id, verdict.due)
    text = f"repair {{n}} files at {held.site}, scan {held.id}"
    work.hint(*hints("remedy", ids, ctx.settings.work.batch, text))
    return len(ids)


def _remember(
    work: Work,
    held: HeldScan,
    verdict: ScanVerdict,
    rows: Mapping[str, SightingRow],
    result: Result,
    acted: Collection[str],
) -> None:
    """Keep sightings for the next scan; delete those that are disproved or acted upon."""
    seen = {finding.lfn: finding for finding in verdict.seen if finding.lfn not in acted}
    confirmed, outdated = [], []
    for lfn, row in rows.items():
        known = Sighting(Kind(row.kind), row.first, row.size, row.modified)
        if lfn in seen and is_same(seen[lfn], known):
            confirmed.append(row.id)
            del seen[lfn]
        elif lfn in {*seen, *acted} or result.says_of(lfn):
            outdated.append(row.id)
    sightings.forget(work, outdated)
    sightings.confirm(work, confirmed, held.id)
    sightings.add(work, held.site_id, held.id, list(seen.values())[:_REMEMBERED])


def _summary(
    result: Result, verdict: ScanVerdict, filed: int, stopped: str | None
) -> dict[str, object]:
    by_kind = {kind: [f for f in verdict.seen if f.kind is kind] for kind in Kind}
    unlisted = result.coverage.unlisted
    return {
        "files": result.n_files,
        "found": {kind.value: len(group) for kind, group in by_kind.items()},
        "bytes": {kind.value: sum(f.size for f in group) for kind, group in by_kind.items()},
        "names": {kind.value: [f.lfn for f in group[:_SHOWN]] for kind, group in by_kind.items()},
        "due": len(verdict.due),
        "acted": filed,
        "young": verdict.young,
        "odd": result.odd,
        "unlisted": len(unlisted),
        "errors": {path: result.errors.get(path, "never listed") for path in unlisted[:_SHOWN]},
        "held": verdict.held or stopped,
    }
