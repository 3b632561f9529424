"""Reads columns in bulk: the database writes numbers as text, numpy reads them, without rows.

Measured on MariaDB for three million rows of eight numbers: 2.3 s, against 21 s row by row.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np

from dynamo.db.engine.driver import streaming
from dynamo.db.engine.unit_of_work import Work
from dynamo.inventory.snapshot import Amounts

_AT_ONCE = 20_000
"""Keys per text: far below the 16 MB that a server sends at once."""
_RANGE = 1_000_000
"""Keys per statement."""


@dataclass(frozen=True, slots=True)
class ColumnQuery:
    """A query for columns; with names of the schema only, never texts of callers."""

    table: str
    """The table, or a named subquery."""
    columns: Sequence[str]
    """Expressions that are never NULL: integers; for `named` the last one is a name."""
    where: str = "1 = 1"
    key: str = "id"


def numbers(work: Work, rows: ColumnQuery) -> list[Amounts]:
    """Return columns of integers, one array each, in the order of the keys."""
    width = len(rows.columns)
    parts = [_parsed(text, count, width) for count, text in _texts(work, rows, ",")]
    whole = np.concatenate(parts) if parts else np.zeros((0, width), np.int64)
    return [np.ascontiguousarray(whole[:, place]) for place in range(width)]


def named(work: Work, rows: ColumnQuery) -> tuple[list[Amounts], list[str]]:
    """Return columns of integers, and the last column as texts without line ends."""
    width = len(rows.columns)
    fields: list[str] = []
    for count, text in _texts(work, rows, "\n"):
        values = text.split("\n")
        if len(values) != count * width:
            raise ValueError(f"{rows.table}: {len(values)} fields for {count} rows of {width}")
        fields += values
    columns = [np.array(fields[place::width], np.int64) for place in range(width - 1)]
    return columns, fields[width - 1 :: width]


def seconds(work: Work, column: str) -> str:
    """Return the expression for a time in seconds since 1970, in any session zone."""
    if work.is_mysql:
        return f"TIMESTAMPDIFF(SECOND, '1970-01-01', {column})"
    return f"CAST(strftime('%s', {column}) AS INTEGER)"


def _parsed(text: str, count: int, width: int) -> Amounts:
    values = np.fromstring(text, np.int64, sep=",")
    if len(values) != count * width:
        raise ValueError(f"{len(values)} numbers for {count} rows of {width}")
    return values.reshape(count, width)


def _texts(work: Work, rows: ColumnQuery, separator: str) -> Iterator[tuple[int, str]]:
    """Yield texts with many rows each, and their number, which reveals a truncated text.

    A statement sorts and sends a limited range of keys, so that none runs into a time-out.
    """
    # names of the schema only
    ends = f"SELECT MIN({rows.key}), MAX({rows.key}) FROM {rows.table} WHERE {rows.where}"  # noqa: S608
    connection = work.connection.connection
    with closing(streaming(connection) if work.is_mysql else connection.cursor()) as cursor:
        if work.is_mysql:
            cursor.execute("SET SESSION group_concat_max_len = 1073741824")
        cursor.execute(ends)
        ((least, most),) = cursor.fetchall()
        for begin in range(least, most + 1, _RANGE) if least is not None else ():
            cursor.execute(_statement(rows, separator, begin, on_mysql=work.is_mysql))
            for count, text in iter(cursor.fetchone, None):
                yield int(count), text if isinstance(text, str) else bytes(text).decode("ascii")


def _statement(rows: ColumnQuery, separator: str, begin: int, *, on_mysql: bool) -> str:
    if on_mysql:
        line = f"CONCAT_WS('{separator}', {', '.join(rows.columns)})"
        listed, divided = f"GROUP_CONCAT({line} SEPARATOR '{separator}')", "DIV"
    else:
        line = f" || '{separator}' || ".join(rows.columns)
        listed, divided = f"group_concat({line}, '{separator}')", "/"
    group = f"{rows.key} {divided} {_AT_ONCE}"
    # names of the schema only
    return (
        f"SELECT COUNT(*), {listed} FROM {rows.table} WHERE ({rows.where})"  # noqa: S608
        f" AND {rows.key} BETWEEN {begin} AND {begin + _RANGE - 1}"
        f" GROUP BY {group} ORDER BY {group}"
    )
