"""Lists of keys in statements: written out, as a thousand bound ones cost 4 ms to quote."""

from collections.abc import Callable, Collection
from typing import Any

from sqlalchemy import BindParameter, Dialect, bindparam
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.types import UserDefinedType

Column = InstrumentedAttribute[Any]


class _Keys(UserDefinedType[Collection[int]]):
    """Whole numbers."""

    cache_ok = True

    def literal_processor(self, dialect: Dialect) -> Callable[[Collection[int]], str]:  # noqa: ARG002
        """Write them as a list; an empty one holds nothing."""
        return lambda keys: f"({', '.join([f'{key:d}' for key in keys]) or 'NULL'})"


class _Hashes(UserDefinedType[Collection[bytes]]):
    """Bytes."""

    cache_ok = True

    def literal_processor(self, dialect: Dialect) -> Callable[[Collection[bytes]], str]:  # noqa: ARG002
        """Write them as a list, each as hexadecimal digits; an empty one holds nothing."""
        return lambda keys: "(" + (", ".join([f"X'{key.hex()}'" for key in keys]) or "NULL") + ")"


_Bound = BindParameter[Collection[int]] | BindParameter[Collection[bytes]]


def among(column: Column, keys: Collection[int]) -> ColumnElement[bool]:
    """Hold where a column is one of many whole numbers."""
    return _in(column, bindparam(None, keys, type_=_Keys(), literal_execute=True))


def among_hashes(column: Column, name: str) -> ColumnElement[bool]:
    """Hold where a column is one of many hashes, which are given by a name when that is asked."""
    return _in(column, bindparam(name, type_=_Hashes(), literal_execute=True))


def _in(column: Column, listed: _Bound) -> ColumnElement[bool]:
    return column.op("IN", is_comparison=True)(listed)
