"""Incidents: bad and lost files, with their owners."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Nullable, select, update

from dynamo.db.catalogue import good_copies
from dynamo.db.catalogue.names import lfn_hash
from dynamo.db.engine.expressions import Condition
from dynamo.db.engine.pagination import PageRows, Span, cut
from dynamo.db.engine.unit_of_work import Work
from dynamo.db.tables import BlockReplica, Dataset, File, Incident, User
from dynamo.inventory.states import IncidentKind

LOST = IncidentKind.LOST
_SETTLED_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Report:
    """A report about a file; an empty site means all copies."""

    lfn: str
    site: str
    kind: IncidentKind
    detail: str


def report(work: Work, new: Report) -> bool:
    """Record an incident; return False if it is already known."""
    same = (Incident.lfn == new.lfn, Incident.site == new.site, Incident.kind == new.kind)
    known, ended = work.row(select(Incident.id, Incident.ended).where(*same)) or (None, None)
    if known is not None and ended is None:
        return False
    names = work.row(
        select(Dataset.name, Nullable(User.name))
        .join(File, File.dataset_id == Dataset.id)
        .outerjoin(User, User.id == Dataset.owner_id)
        .where(File.lfn_hash == lfn_hash(new.lfn))
    )
    dataset, owner = names or (None, None)
    values = {
        "dataset": dataset,
        "owner": owner,
        "at": work.now,
        "ended": None,
        "detail": new.detail[:1000],
    }
    if known is not None:
        work.changed(update(Incident).where(Incident.id == known).values(values))
    else:
        row = {"lfn": new.lfn, "site": new.site, "kind": new.kind, **values}
        work.insert(Incident, [row])
    return True


class OpenIncident(NamedTuple):
    """An incident that no scan has checked yet."""

    id: int
    lfn: str
    kind: str
    at: datetime


def at_site(work: Work, site: str) -> list[OpenIncident]:
    """Return the unchecked incidents of copies at a site."""
    columns = (Incident.id, Incident.lfn, Incident.kind, Incident.at)
    open_at_site = (Incident.site == site, Incident.ended.is_(None))
    return work.read(OpenIncident, select(*columns).where(*open_at_site))


def end_at(work: Work, site: str, lfns: Collection[str]) -> None:
    """End incidents of copies at a site, after a check."""
    wanted = list(lfns)
    for start in range(0, len(wanted), 1000):
        batch = Incident.lfn.in_(wanted[start : start + 1000])
        open_at_site = (Incident.site == site, Incident.ended.is_(None))
        work.changed(update(Incident).where(batch, *open_at_site).values(ended=work.now))


def settle(work: Work) -> int:
    """End the incidents of lost files that have a copy again, or were deleted."""
    lost = (Incident.ended.is_(None), Incident.kind == LOST)
    rows = work.rows(
        select(Incident.id, Incident.lfn).where(*lost).order_by(Incident.id).limit(_SETTLED_AT_ONCE)
    )
    ended = [incident for incident, lfn in rows if _is_over(work, lfn)]
    if ended:
        work.changed(update(Incident).where(Incident.id.in_(ended)).values(ended=work.now))
    return len(ended)


class IncidentRow(NamedTuple):
    """An incident."""

    id: int
    lfn: str
    site: str
    kind: str
    dataset: str | None
    owner: str | None
    at: datetime
    ended: datetime | None
    detail: str | None


_SHOWN = select(
    Incident.id,
    Incident.lfn,
    Incident.site,
    Incident.kind,
    Incident.dataset,
    Incident.owner,
    Incident.at,
    Incident.ended,
    Incident.detail,
)


def list_page(work: Work, wheres: Collection[Condition], span: Span) -> PageRows[IncidentRow]:
    """Return a page of incidents that match all conditions, newest first."""
    wanted = _SHOWN.where(*wheres)
    if span.after is not None:
        wanted = wanted.where(Incident.id < span.after[0])
    newest = wanted.order_by(Incident.id.desc()).limit(span.limit + 1)
    return cut(work.read(IncidentRow, newest), span)


def _is_over(work: Work, lfn: str) -> bool:
    named = select(File.id).where(File.lfn_hash == lfn_hash(lfn))
    with_copy = named.join(BlockReplica, BlockReplica.block_id == File.block_id)
    with_copy = with_copy.where(good_copies.of_file())
    return work.scalar(named) is None or work.scalar(with_copy) is not None
