"""Expressions that many statements are made of."""

from sqlalchemy import BigInteger, ColumnElement, Dialect, SQLColumnExpression, func
from sqlalchemy.types import TypeDecorator

Condition = ColumnElement[bool]
Conditions = tuple[Condition, ...]


class _Whole(TypeDecorator[int]):
    """A whole number: MariaDB sums up to a DECIMAL."""

    impl = BigInteger
    cache_ok = True

    def process_result_value(self, value: int | None, dialect: Dialect) -> int | None:  # noqa: ARG002
        """Hand out as a number of Python."""
        return None if value is None else int(value)


def total(column: SQLColumnExpression[int] | SQLColumnExpression[int | None]) -> ColumnElement[int]:
    """Return the sum of a column of whole numbers; 0 where there is no row."""
    return func.coalesce(func.sum(column), 0, type_=_Whole())
