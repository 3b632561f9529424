"""The history for callers, newest first."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement

from dynamo.db.engine.unit_of_work import Work
from dynamo.db.tables import History
from dynamo.db.views import history
from dynamo.db.views.history import EventRow
from dynamo.errors import Fault, Invalid
from dynamo.inventory import names
from dynamo.reasons import Reason
from dynamo.services.context import Context
from dynamo.services.pagination import Item, Page, PageRequest, page

Where = Sequence[ColumnElement[bool]]


@dataclass(frozen=True, slots=True)
class HistoryFilter:
    """Filters for events; at least one is required."""

    dataset: str | None = None
    lfn: str | None = None
    site: str | None = None


def list_page(ctx: Context, wanted: HistoryFilter, place: PageRequest) -> Page:
    """Return a page of events; those of a file include those of its block and dataset."""
    for given, fits in (
        (wanted.dataset, names.is_dataset),
        (wanted.lfn, names.is_lfn),
        (wanted.site, names.is_site),
    ):
        if given is not None and not fits(given):
            raise Invalid(f"{given!r} is not a name", Reason.NAME_INVALID)
    with ctx.begin.reading() as work:
        rows = history.list_page(work, _wheres(work, wanted), place.span((int,)))
        return page(rows, [_item(row) for row in rows.rows])


def _wheres(work: Work, wanted: HistoryFilter) -> list[Where]:
    more: list[ColumnElement[bool]] = []
    if wanted.site is not None:
        more.append(History.site == wanted.site)
    if wanted.lfn is not None:
        if wanted.dataset is not None:
            more.append(History.dataset == wanted.dataset)
        return [[*where, *more] for where in _of_file(work, wanted.lfn)]
    if wanted.dataset is not None:
        return [[History.dataset == wanted.dataset, *more]]
    if more:
        return [more]
    raise Invalid("a filter is missing", faults=[Fault("/", "name a dataset, an lfn or a site")])


def _of_file(work: Work, lfn: str) -> list[Where]:
    dataset, block = history.home(work, lfn)
    wheres: list[Where] = [[History.lfn == lfn]]
    if block is not None:
        wheres.append([History.block == block, History.lfn.is_(None)])
    if dataset is not None:
        of_dataset_only = (History.block.is_(None), History.lfn.is_(None))
        wheres.append([History.dataset == dataset, *of_dataset_only])
    return wheres


def _item(row: EventRow) -> Item:
    return {
        "id": row.id,
        "at": row.at,
        "who": row.who,
        "what": row.what,
        "dataset": row.dataset,
        "block": row.block,
        "lfn": row.lfn,
        "site": row.site,
        "files": row.n_files,
        "bytes": row.bytes,
        "request": row.request_id,
        "request_id": row.trace,
        "why": row.why,
    }
