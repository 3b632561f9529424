"""Incidents: bad and lost files, for their owners and operators."""

from sqlalchemy import ColumnElement

from dynamo.db.consistency import incidents
from dynamo.db.consistency.incidents import IncidentRow
from dynamo.db.tables import Incident
from dynamo.services.context import Context
from dynamo.services.pagination import Item, Page, PageRequest, page

KINDS = ("lost", "missing", "corrupt")


def list_page(
    ctx: Context, filters: dict[str, str | None], place: PageRequest, *, ended: bool
) -> Page:
    """Return a page of incidents, newest first; filters: owner, site, kind, dataset, lfn."""
    columns = {name: getattr(Incident, name) for name in filters}
    wheres: list[ColumnElement[bool]] = [
        columns[name] == value for name, value in filters.items() if value is not None
    ]
    if not ended:
        wheres.append(Incident.ended.is_(None))
    with ctx.begin.reading() as work:
        rows = incidents.list_page(work, wheres, place.span((int,)))
        return page(rows, [_item(row) for row in rows.rows])


def _item(row: IncidentRow) -> Item:
    return {
        "id": row.id,
        "kind": row.kind,
        "lfn": row.lfn,
        "site": row.site or None,
        "dataset": row.dataset,
        "owner": row.owner,
        "at": row.at,
        "ended": row.ended,
        "detail": row.detail,
    }
