"""The history, newest first."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, Nullable, select

from dynamo.db.catalogue.names import lfn_hash
from dynamo.db.engine.pagination import PageRows, Span, cut
from dynamo.db.engine.unit_of_work import Work
from dynamo.db.tables import Block, Dataset, File, History


class EventRow(NamedTuple):
    """Something that happened."""

    id: int
    at: datetime
    who: str
    what: str
    dataset: str | None
    block: str | None
    lfn: str | None
    site: str | None
    n_files: int | None
    bytes: int | None
    request_id: int | None
    trace: str
    why: str | None


_EVENTS = select(
    History.id,
    History.at,
    History.who,
    History.what,
    History.dataset,
    History.block,
    History.lfn,
    History.site,
    History.n_files,
    History.bytes,
    History.request_id,
    History.trace,
    History.why,
)


def list_page(
    work: Work, wheres: Sequence[Sequence[ColumnElement[bool]]], span: Span
) -> PageRows[EventRow]:
    """Return a page of events that match any of the conditions, each of which uses an index."""
    by_id: dict[int, EventRow] = {}
    for where in wheres:
        statement = _EVENTS.where(*where)
        if span.after is not None:
            statement = statement.where(History.id < span.after[0])
        newest = statement.order_by(History.id.desc()).limit(span.limit + 1)
        by_id |= {row.id: row for row in work.read(EventRow, newest)}
    rows = [by_id[key] for key in sorted(by_id, reverse=True)]
    return cut(rows, span)


def home(work: Work, lfn: str) -> tuple[str | None, str | None]:
    """Return a file's dataset and block id, from the history if the file is deleted."""
    row = work.row(
        select(Nullable(Dataset.name), Nullable(Block.uuid))
        .select_from(File)
        .join(Dataset, Dataset.id == File.dataset_id)
        .outerjoin(Block, Block.id == File.block_id)
        .where(File.lfn_hash == lfn_hash(lfn))
    )
    if row is not None:
        return row
    remembered = select(History.dataset, History.block).where(History.lfn == lfn)
    return work.row(remembered.order_by(History.id.desc()).limit(1)) or (None, None)
