"""Lists of keys in statements, written out: quoting a thousand bound keys takes 4 ms."""

from collections.abc import Callable, Collection
from typing import Any

from sqlalchemy import BindParameter, Dialect, bindparam
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.types import UserDefinedType

Column = InstrumentedAttribute[Any]


class _Keys(UserDefinedType[Collection[int]]):
    """A list of integers."""

    cache_ok = True

    def literal_processor(self, dialect: Dialect) -> Callable[[Collection[int]], str]:  # noqa: ARG002
        """Return the writer of the list; an empty list matches nothing."""
        return lambda keys: f"({', '.join([f'{key:d}' for key in keys]) or 'NULL'})"


class _Hashes(UserDefinedType[Collection[bytes]]):
    """A list of hashes."""

    cache_ok = True

    def literal_processor(self, dialect: Dialect) -> Callable[[Collection[bytes]], str]:  # noqa: ARG002
        """Return the writer of the list in hexadecimal; an empty list matches nothing."""
        return lambda keys: "(" + (", ".join([f"X'{key.hex()}'" for key in keys]) or "NULL") + ")"


_Bound = BindParameter[Collection[int]] | BindParameter[Collection[bytes]]


def among(column: Column, keys: Collection[int]) -> ColumnElement[bool]:
    """Return the condition that a column is one of many integers."""
    return _in(column, bindparam(None, keys, type_=_Keys(), literal_execute=True))


def among_hashes(column: Column, name: str) -> ColumnElement[bool]:
    """Return the condition that a column is one of many hashes, bound by this name."""
    return _in(column, bindparam(name, type_=_Hashes(), literal_execute=True))


def _in(column: Column, listed: _Bound) -> ColumnElement[bool]:
    return column.op("IN", is_comparison=True)(listed)
