"""Scanning: a site is listed between two looks into the catalogue, and what differs is judged.

What the catalogue says before and after the listing brackets whatever happened meanwhile. Nothing
is moved here: what is due is filed as remedies, which look again before they touch a file.
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
"""Names of each kind that a scan shows."""
_REMEMBERED = 10_000
"""New sightings that one scan remembers at most; the next one goes on."""


class ScanLost(Exception):
    """The scan is not ours any more: write nothing."""


def scan(ctx: Context, scan_ids: Sequence[int]) -> None:
    """Run scans that wait: list, compare, and unless it is a dry run, file what is to be done."""
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
        found = compare_site(ctx, held, lambda: _renew(ctx, held))
        reached(Point.SCANNED)
        _record(ctx, held, found)
        reached(Point.SCAN_RECORDED)
        if not held.dry_run:
            clean(ctx, held)
    except ScanLost:
        log.warning("scan lost its lease", scan=held.id)
    except DynamoError as failed:
        log.warning("scan failed", site=held.site, reason=failed.reason, detail=failed.detail)
        _fail(ctx, held, failed.reason, failed.detail)
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
    """Return how careful the settings want us to be."""
    careful = settings.consistency
    return ScanLimits(
        timedelta(hours=careful.young_hours),
        timedelta(hours=careful.apart_hours),
        careful.max_files,
        careful.max_bytes,
        careful.max_share,
        careful.few,
    )


@retried
def _record(ctx: Context, held: HeldScan, result: Result) -> None:
    """Judge and remember in one transaction, under the scan's lease."""
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
    """Return what is remembered of the site; nothing once its address has changed."""
    said = json.dumps([held.url, held.rules], sort_keys=True)
    endpoint = hashlib.blake2b(said.encode(), digest_size=16).digest()
    last = scans.last_endpoint(work, held)
    if last in {None, endpoint}:
        return sightings.of_site(work, held.site_id), endpoint
    if not held.dry_run:
        sightings.forget_site(work, held.site_id)
    return {}, endpoint


def _with_reports(earlier: Mapping[str, Sighting], result: Result) -> dict[str, Sighting]:
    """Count a report of a bad copy as the first sighting."""
    told = {
        finding.lfn: Sighting(
            Kind.CORRUPT, result.reported[finding.lfn], finding.size, finding.modified
        )
        for finding in result.findings
        if finding.kind is Kind.CORRUPT
    }
    return {**told, **earlier}


def _act(work: Work, ctx: Context, held: HeldScan, verdict: ScanVerdict) -> int:
    ids = remedies.add(work, held.site_id, held.id, verdict.due)
    text = f"look after {{n}} files at {held.site}, scan {held.id}"
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
    """Keep what was seen for the next scan; forget what this one has disproved or acted upon."""
    seen = {finding.lfn: finding for finding in verdict.seen if finding.lfn not in acted}
    same, gone = [], []
    for lfn, row in rows.items():
        known = Sighting(Kind(row.kind), row.first, row.size, row.modified)
        if lfn in seen and is_same(seen[lfn], known):
            same.append(row.id)
            del seen[lfn]
        elif lfn in {*seen, *acted} or result.says_of(lfn):
            gone.append(row.id)
    sightings.forget(work, gone)
    sightings.confirm(work, same, held.id)
    sightings.add(work, held.site_id, held.id, list(seen.values())[:_REMEMBERED])


def _summary(
    result: Result, verdict: ScanVerdict, filed: int, stopped: str | None
) -> dict[str, object]:
    by_kind = {kind: [f for f in verdict.seen if f.kind is kind] for kind in Kind}
    unlisted = result.coverage.unlisted
    return {
        "files": result.n_files,
        "found": {kind.value: len(some) for kind, some in by_kind.items()},
        "bytes": {kind.value: sum(f.size for f in some) for kind, some in by_kind.items()},
        "names": {kind.value: [f.lfn for f in some[:_SHOWN]] for kind, some in by_kind.items()},
        "due": len(verdict.due),
        "acted": filed,
        "young": verdict.young,
        "odd": result.odd,
        "unlisted": len(unlisted),
        "errors": {path: result.errors.get(path, "never listed") for path in unlisted[:_SHOWN]},
        "held": verdict.held or stopped,
    }
