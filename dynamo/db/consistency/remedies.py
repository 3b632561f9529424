"""Remedies: filing, loading for a worker, next steps, end."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import delete, select, update

from dynamo.consistency.decision import Finding, Kind
from dynamo.db.catalogue.names import lfn_hash
from dynamo.db.engine import transitions
from dynamo.db.engine.pagination import PageRows, Span, cut
from dynamo.db.engine.unit_of_work import Work
from dynamo.db.sites.switches import stopped_sites
from dynamo.db.tables import Remedy, Site
from dynamo.db.tables.types import Json
from dynamo.inventory.states import RemedyKind, SiteStatus
from dynamo.operations.lifecycle import State


@dataclass(frozen=True, slots=True)
class ClaimedRemedy:
    """A claimed remedy."""

    id: int
    lease_no: int
    kind: RemedyKind
    found: str
    site_id: int
    site: str
    url: str
    rules: dict[str, object]
    scan_id: int
    lfn: str
    size: int
    modified: datetime | None
    aside: str | None
    attempts: int


class RemedyRow(NamedTuple):
    """A remedy, with its site's URL and rules."""

    id: int
    site_id: int
    site: str
    url: str
    rules: Json
    lfn: str
    found: str
    kind: str
    state: str
    attempts: int
    size: int
    modified: datetime | None
    aside: str | None
    not_before: datetime | None
    reason: str | None
    error: str | None
    scan_id: int


_SHOWN = select(
    Remedy.id,
    Remedy.site_id,
    Site.name.label("site"),
    Site.url,
    Site.rules,
    Remedy.lfn,
    Remedy.found,
    Remedy.kind,
    Remedy.state,
    Remedy.attempts,
    Remedy.size,
    Remedy.modified,
    Remedy.aside,
    Remedy.not_before,
    Remedy.reason,
    Remedy.error,
    Remedy.scan_id,
).join(Site, Site.id == Remedy.site_id)


def add(work: Work, site_id: int, scan_id: int, findings: Sequence[Finding]) -> list[int]:
    """File remedies for findings; findings with an open remedy are left out."""
    keys = {_key(site_id, finding.lfn): finding for finding in findings}
    busy = set()
    wanted = list(keys)
    for start in range(0, len(wanted), 1000):
        batch = Remedy.open_key.in_(wanted[start : start + 1000])
        busy |= set(work.scalars(select(Remedy.open_key).where(batch)))
    return [
        work.add(Remedy, **_fresh(work, site_id, scan_id, key, finding))
        for key, finding in keys.items()
        if key not in busy
    ]


def _fresh(work: Work, site_id: int, scan_id: int, key: str, finding: Finding) -> dict[str, object]:
    return {
        "kind": RemedyKind.QUARANTINE if finding.kind is Kind.DARK else RemedyKind.MEND,
        "found": finding.kind.value,
        "site_id": site_id,
        "scan_id": scan_id,
        "open_key": key,
        "lfn": finding.lfn,
        "size": finding.size,
        "modified": finding.modified,
        "state": transitions.start(Remedy, State.QUEUED),
        "attempts": 0,
        "lost": 0,
        "not_before": work.now,
        "hinted": work.now,
        "lease_no": 0,
        "created": work.now,
        "updated": work.now,
    }


def _key(site_id: int, lfn: str) -> str:
    return f"{site_id}:{lfn_hash(lfn).hex()}"


def workable(work: Work, ids: Collection[int], *, without: Collection[RemedyKind]) -> list[int]:
    """Return the remedies at ready sites that are not stopped, without these kinds."""
    return work.scalars(
        select(Remedy.id)
        .join(Site, Site.id == Remedy.site_id)
        .where(
            Remedy.id.in_(ids),
            Remedy.kind.not_in(list(without)),
            Site.status == SiteStatus.READY,
            Site.name.not_in(stopped_sites(work)),
        )
    )


def load(work: Work, claims: dict[int, int]) -> list[ClaimedRemedy]:
    """Return claimed remedies with all their data."""
    if not claims:
        return []
    rows = work.read(RemedyRow, _SHOWN.where(Remedy.id.in_(claims)).order_by(Remedy.id))
    return [
        ClaimedRemedy(
            id=row.id,
            lease_no=claims[row.id],
            kind=RemedyKind(row.kind),
            found=row.found,
            site_id=row.site_id,
            site=row.site,
            url=row.url,
            rules=row.rules,
            scan_id=row.scan_id,
            lfn=row.lfn,
            size=row.size,
            modified=row.modified,
            aside=row.aside,
            attempts=row.attempts,
        )
        for row in rows
    ]


def aside(work: Work, claimed: ClaimedRemedy, name: str) -> ClaimedRemedy:
    """Record the name of a file in the quarantine, before it is moved there."""
    work.changed(update(Remedy).where(Remedy.id == claimed.id).values(aside=name))
    return replace(claimed, aside=name)


def go_on(work: Work, remedy_id: int, act: RemedyKind, due: datetime) -> None:
    """Queue the next step for a file in quarantine."""
    transitions.move(
        work,
        Remedy,
        [remedy_id],
        State.QUEUED,
        kind=act,
        not_before=due,
        hinted=work.now,
        open_key=None,
        attempts=0,
        lost=0,
        lease_owner=None,
        lease_until=None,
        reason=None,
        error=None,
        updated=work.now,
    )


def end(work: Work, ids: Collection[int]) -> None:
    """Delete finished remedies; the history keeps them."""
    if ids:
        work.changed(delete(Remedy).where(Remedy.id.in_(ids)))


def lock_quarantined(work: Work, remedy_id: int) -> bool:
    """Lock a file in quarantine; return False if it is absent or being removed."""
    waits = (Remedy.kind == RemedyKind.REMOVE, Remedy.state.in_((State.QUEUED, State.HELD)))
    at_rest = select(Remedy.id).where(Remedy.id == remedy_id, *waits)
    return work.scalar(at_rest.with_for_update()) is not None


def get(work: Work, remedy_id: int) -> RemedyRow | None:
    """Return a remedy with its site's name, or None."""
    return work.read_one(RemedyRow, _SHOWN.where(Remedy.id == remedy_id))


def list_page(work: Work, site: str | None, span: Span) -> PageRows[RemedyRow]:
    """Return a page of remedies, including files in quarantine, oldest first."""
    wanted = _SHOWN if site is None else _SHOWN.where(Site.name == site)
    if span.after is not None:
        wanted = wanted.where(Remedy.id > span.after[0])
    oldest = wanted.order_by(Remedy.id).limit(span.limit + 1)
    return cut(work.read(RemedyRow, oldest), span)
