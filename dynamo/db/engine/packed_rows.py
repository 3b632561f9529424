"""Many rows as one text: the driver needs more time for a thousand rows than all else together.

Measured on MariaDB for 1000 rows of ten columns: 3 ms of processor time, against 20 ms row by row.
"""

from collections import namedtuple
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import BigInteger, Boolean, Integer, String, func

from dynamo.db.engine.pagination import Selection
from dynamo.db.engine.unit_of_work import Work
from dynamo.db.tables.types import Utc

_END = "\n"
"""No name, word or number holds it."""
_LONGEST = 2**30


def gathered(work: Work, statement: Selection, *order: Any) -> Sequence[Any]:
    """Return all rows in an order; columns are names, words, whole numbers, flags and moments.

    An empty text comes back as None, as the databases of this kind hold none.
    """
    if not work.is_mysql:
        return work.rows(statement.order_by(*order))
    columns = list(statement.selected_columns)
    line = func.concat_ws(_END, *(func.coalesce(column, "") for column in columns))
    text = func.aggregate_strings(line, _END)
    in_order = text.aggregate_order_by(*order) if order else text
    _lengthen(work)
    count, found = work.rows(statement.with_only_columns(func.count(), in_order))[0]
    return _rows(columns, int(count), found) if count else ()


def _lengthen(work: Work) -> None:
    """Let a connection write texts of any length, once."""
    told = work.connection.connection.info
    if not told.get("gathers"):
        work.connection.exec_driver_sql(f"SET SESSION group_concat_max_len = {_LONGEST}")
        told["gathers"] = True


def _rows(columns: Sequence[Any], count: int, text: str) -> Sequence[Any]:
    fields, width = text.split(_END), len(columns)
    if len(fields) != count * width:
        raise ValueError(f"{len(fields)} fields for {count} rows of {width}")
    read = (_read(column.type, fields[n::width]) for n, column in enumerate(columns))
    return list(map(_row(tuple(column.key for column in columns)), *read))


@cache
def _row(names: tuple[str, ...]) -> Callable[..., Any]:
    return namedtuple("Row", names)  # noqa: PYI024 - its columns are known only here


def _read(kind: Any, fields: Sequence[str]) -> Iterable[Any]:
    convert = next(found for known, found in _CONVERT.items() if isinstance(kind, known))
    return [convert(field) if field else None for field in fields]


def _moment(field: str) -> datetime:
    return datetime.fromisoformat(field + "+00:00")


_CONVERT: dict[Any, Callable[[str], Any]] = {
    Boolean: lambda field: field == "1",
    (Integer, BigInteger): int,
    Utc: _moment,
    String: str,
}
