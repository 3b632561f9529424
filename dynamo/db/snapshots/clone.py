"""Copying an inventory, row by row, to be tried out elsewhere."""

from collections.abc import Iterator, Sequence

from sqlalchemy import Column, Table, delete, insert, select

from dynamo.db.engine.unit_of_work import Work
from dynamo.db.tables import (
    Answer,
    Base,
    Cycle,
    Decision,
    History,
    Pulse,
    Stream,
)

LEFT_OUT = frozenset(one.__tablename__ for one in (Answer, Cycle, Decision, History, Pulse, Stream))
"""What only looks back, and what says who works now."""
ROWS = 5_000


def copy(source: Work, target: Work) -> None:
    """Copy all tables but those that only look back into an inventory that has just been made."""
    tables = [table for table in Base.metadata.sorted_tables if table.name not in LEFT_OUT]
    for table in reversed(tables):
        target.execute(delete(table))
    for table in tables:
        for rows in _batches(source, table):
            target.execute(insert(table), rows)


def _batches(source: Work, table: Table) -> Iterator[Sequence[dict[str, object]]]:
    columns = [one for one in table.columns if not _refers_to_left_out(one)]
    found = source.execute(select(*columns).execution_options(yield_per=ROWS))
    for rows in found.mappings().partitions(ROWS):
        yield [dict(row) for row in rows]


def _refers_to_left_out(column: Column[object]) -> bool:
    return any(key.column.table.name in LEFT_OUT for key in column.foreign_keys)
