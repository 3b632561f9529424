"""Sightings: findings of scans that were not acted upon yet."""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import delete, select, update

from dynamo.consistency.decision import Finding
from dynamo.db.catalogue.names import lfn_hash
from dynamo.db.engine.unit_of_work import Work
from dynamo.db.tables import Sighting

_CHUNK = 1000


class SightingRow(NamedTuple):
    """The sighting of a file."""

    id: int
    kind: str
    lfn: str
    first: datetime
    size: int
    modified: datetime | None


_SEEN = select(
    Sighting.id,
    Sighting.kind,
    Sighting.lfn,
    Sighting.first,
    Sighting.size,
    Sighting.modified,
)


def of_site(work: Work, site_id: int) -> dict[str, SightingRow]:
    """Return the sightings at a site, by name."""
    rows = work.read(SightingRow, _SEEN.where(Sighting.site_id == site_id))
    return {row.lfn: row for row in rows}


def forget(work: Work, ids: Sequence[int]) -> None:
    """Delete sightings."""
    for batch in _cut(ids):
        work.changed(delete(Sighting).where(Sighting.id.in_(batch)))


def forget_site(work: Work, site_id: int) -> None:
    """Delete all sightings at a site, because its storage is another one now."""
    work.changed(delete(Sighting).where(Sighting.site_id == site_id))


def confirm(work: Work, ids: Sequence[int], scan_id: int) -> None:
    """Record that sightings were seen again."""
    for batch in _cut(ids):
        seen = update(Sighting).where(Sighting.id.in_(batch))
        work.changed(seen.values(last=work.now, scan_id=scan_id))


def add(work: Work, site_id: int, scan_id: int, findings: Collection[Finding]) -> None:
    """Record first sightings."""
    work.insert(
        Sighting,
        [
            {
                "site_id": site_id,
                "kind": finding.kind.value,
                "lfn": finding.lfn,
                "lfn_hash": lfn_hash(finding.lfn),
                "size": finding.size,
                "modified": finding.modified,
                "first": work.now,
                "last": work.now,
                "scan_id": scan_id,
            }
            for finding in findings
        ],
    )


def _cut(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(ids), _CHUNK):
        yield ids[start : start + _CHUNK]
