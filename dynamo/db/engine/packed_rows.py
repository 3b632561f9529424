"""Reads many rows as one text: with rows, the driver takes longer than the server.

Measured on MariaDB for 1000 rows of ten columns: 3 ms of processor time, against 20 ms row by row.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, TypeVar, TypeVarTuple

from sqlalchemy import BigInteger, Boolean, ColumnElement, Integer, Select, String, func
from sqlalchemy.types import TypeEngine

from dynamo.db.engine.pagination import Rows
from dynamo.db.engine.typed_rows import check_labels
from dynamo.db.engine.unit_of_work import Work
from dynamo.db.tables.types import Utc

Ts = TypeVarTuple("Ts")
Named = TypeVar("Named")

_END = "\n"
"""Separator that no name, word or number contains."""
_LONGEST = 2**30


def read(
    work: Work, kind: Callable[[*Ts], Named], statement: Select[*Ts], *order: ColumnElement[Any]
) -> list[Named]:
    """Return all rows in an order as named tuples, read by `rows`."""
    check_labels(kind, statement.selected_columns.keys())
    return [kind(*row) for row in rows(work, statement, *order)]


def rows(work: Work, statement: Select[*Ts], *order: ColumnElement[Any]) -> Sequence[tuple[*Ts]]:
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
    count, text_ = work.only(statement.with_only_columns(func.count(), in_order))
    return _unpacked(columns, count, text_) if count else ()


def _lengthen(work: Work) -> None:
    """Let a connection build texts of any length, once."""
    info = work.connection.connection.info
    if not info.get("gathers"):
        work.connection.exec_driver_sql(f"SET SESSION group_concat_max_len = {_LONGEST}")
        info["gathers"] = True


def _unpacked(columns: Sequence[ColumnElement[Any]], count: int, text: str) -> Rows:
    fields, width = text.split(_END), len(columns)
    if len(fields) != count * width:
        raise ValueError(f"{len(fields)} fields for {count} rows of {width}")
    converted = (_converted(column.type, fields[n::width]) for n, column in enumerate(columns))
    return list(zip(*converted, strict=True))


def _converted(kind: TypeEngine[Any], fields: Sequence[str]) -> Iterable[object]:
    convert = next(make for known, make in _CONVERT.items() if isinstance(kind, known))
    return [convert(field) if field else None for field in fields]


def _moment(field: str) -> datetime:
    return datetime.fromisoformat(field + "+00:00")


_CONVERT: dict[type | tuple[type, ...], Callable[[str], object]] = {
    Boolean: lambda field: field == "1",
    (Integer, BigInteger): int,
    Utc: _moment,
    String: str,
}
