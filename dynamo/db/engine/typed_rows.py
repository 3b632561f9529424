"""Statements that are read, and rows with the types of what the statement selects."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar, TypeVarTuple

from sqlalchemy import Connection, Select
from sqlalchemy.sql.selectable import TypedReturnsRows

Ts = TypeVarTuple("Ts")
T = TypeVar("T")
Named = TypeVar("Named")

Selection = Select[*tuple[Any, ...]]
"""A statement whose rows may have any columns."""

Values = Mapping[str, object] | None
"""What stands for the `bindparam`s of a statement that is made once and run often."""


class Reader:
    """Reads in one transaction."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def rows(self, statement: TypedReturnsRows[*Ts], values: Values = None) -> Sequence[tuple[*Ts]]:
        """Return all rows."""
        return self.connection.execute(statement, values).all()

    def row(self, statement: TypedReturnsRows[*Ts], values: Values = None) -> tuple[*Ts] | None:
        """Return the first row or None."""
        return self.connection.execute(statement, values).first()

    def only(self, statement: TypedReturnsRows[*Ts], values: Values = None) -> tuple[*Ts]:
        """Return the one row that there must be."""
        return self.connection.execute(statement, values).one()

    def read(
        self, kind: Callable[[*Ts], Named], statement: TypedReturnsRows[*Ts], values: Values = None
    ) -> list[Named]:
        """Return all rows as named tuples, whose fields must be the labels of the statement."""
        found = self.connection.execute(statement, values)
        check_labels(kind, found.keys())
        return [kind(*row) for row in found.all()]

    def read_one(
        self, kind: Callable[[*Ts], Named], statement: TypedReturnsRows[*Ts], values: Values = None
    ) -> Named | None:
        """Return the first row as a named tuple or None."""
        found = self.connection.execute(statement, values)
        check_labels(kind, found.keys())
        row = found.first()
        return None if row is None else kind(*row)

    def read_existing(
        self, kind: Callable[[*Ts], Named], statement: TypedReturnsRows[*Ts], values: Values = None
    ) -> Named:
        """Return the one row that there must be as a named tuple."""
        found = self.connection.execute(statement, values)
        check_labels(kind, found.keys())
        return kind(*found.one())

    def mappings(self, statement: Selection) -> list[dict[str, object]]:
        """Return all rows of a statement with any columns, each as values by label."""
        rows = self.connection.execute(statement).mappings()
        return [{str(label): value for label, value in row.items()} for row in rows]

    def scalar(
        self, statement: TypedReturnsRows[T, *tuple[Any, ...]], values: Values = None
    ) -> T | None:
        """Return the first column of the first row or None."""
        return self.connection.execute(statement, values).scalar()

    def scalars(
        self, statement: TypedReturnsRows[T, *tuple[Any, ...]], values: Values = None
    ) -> list[T]:
        """Return the first column."""
        return list(self.connection.execute(statement, values).scalars())

    def value(self, statement: TypedReturnsRows[T, *tuple[Any, ...]], values: Values = None) -> T:
        """Return the first column of the one row that there must be."""
        found: T = self.connection.execute(statement, values).scalar_one()
        return found


def check_labels(kind: Callable[..., object], labels: Iterable[str]) -> None:
    """Refuse a statement whose columns would come under other names."""
    fields: tuple[str, ...] = getattr(kind, "_fields", ())
    if fields != tuple(labels):
        raise TypeError(f"{kind!r} has the fields {fields}, the statement {tuple(labels)}")
