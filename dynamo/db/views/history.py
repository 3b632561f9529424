"""What happened, newest first."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, select

from dynamo.db.catalogue.names import lfn_hash
from dynamo.db.engine.pagination import PageRows, Selection, Span
from dynamo.db.engine.unit_of_work import Work
from dynamo.db.tables import Block, Dataset, File, History

_EVENTS: Selection = select(*History.__table__.columns)


def list_page(work: Work, wheres: Sequence[Sequence[ColumnElement[bool]]], span: Span) -> PageRows:
    """Return a page of what fits any of several conditions, each a seek in an index of its own."""
    found: dict[int, Any] = {}
    for where in wheres:
        statement = _EVENTS.where(*where)
        if span.after is not None:
            statement = statement.where(History.id < span.after[0])
        newest = statement.order_by(History.id.desc()).limit(span.limit + 1)
        found |= {row.id: row for row in work.rows(newest)}
    rows = [found[key] for key in sorted(found, reverse=True)]
    if len(rows) <= span.limit:
        return PageRows(rows, None)
    return PageRows(rows[: span.limit], (rows[span.limit - 1].id,))


def home(work: Work, lfn: str) -> tuple[str | None, str | None]:
    """Return a file's dataset and block id, also when the file is gone but remembered."""
    row = work.row(
        select(Dataset.name, Block.uuid)
        .select_from(File)
        .join(Dataset, Dataset.id == File.dataset_id)
        .outerjoin(Block, Block.id == File.block_id)
        .where(File.lfn_hash == lfn_hash(lfn))
    )
    if row is not None:
        return row
    told = select(History.dataset, History.block).where(History.lfn == lfn)
    return work.row(told.order_by(History.id.desc()).limit(1)) or (None, None)
