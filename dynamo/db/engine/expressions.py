"""Expressions that many statements use."""

from sqlalchemy import BigInteger, ColumnElement, Dialect, SQLColumnExpression, func
from sqlalchemy.types import TypeDecorator

Condition = ColumnElement[bool]
Conditions = tuple[Condition, ...]


class _Whole(TypeDecorator[int]):
    """An integer; MariaDB returns sums as DECIMAL."""

    impl = BigInteger
    cache_ok = True

    def process_result_value(self, value: int | None, dialect: Dialect) -> int | None:  # noqa: ARG002
        """Return a Python integer."""
        return None if value is None else int(value)


def total(column: SQLColumnExpression[int] | SQLColumnExpression[int | None]) -> ColumnElement[int]:
    """Return the sum of a column of integers; 0 without rows."""
    return func.coalesce(func.sum(column), 0, type_=_Whole())
