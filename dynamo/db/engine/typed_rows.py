"""Reading statements, as rows with the types of the selected columns."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar, TypeVarTuple

from sqlalchemy import Connection, Select
from sqlalchemy.sql.selectable import TypedReturnsRows

Ts = TypeVarTuple("Ts")
T = TypeVar("T")
Named = TypeVar("Named")

Selection = Select[*tuple[Any, ...]]
"""A statement with any columns."""

Values = Mapping[str, object] | None
"""Values for the `bindparam`s of a statement that is built once."""


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
        """Return the single row. Raises NoResultFound without one."""
        return self.connection.execute(statement, values).one()

    def read(
        self, kind: Callable[[*Ts], Named], statement: TypedReturnsRows[*Ts], values: Values = None
    ) -> list[Named]:
        """Return all rows as named tuples, whose fields must equal the labels of the statement."""
        result = self.connection.execute(statement, values)
        check_labels(kind, result.keys())
        return [kind(*row) for row in result.all()]

    def read_one(
        self, kind: Callable[[*Ts], Named], statement: TypedReturnsRows[*Ts], values: Values = None
    ) -> Named | None:
        """Return the first row as a named tuple or None."""
        result = self.connection.execute(statement, values)
        check_labels(kind, result.keys())
        row = result.first()
        return None if row is None else kind(*row)

    def read_existing(
        self, kind: Callable[[*Ts], Named], statement: TypedReturnsRows[*Ts], values: Values = None
    ) -> Named:
        """Return the single row as a named tuple. Raises NoResultFound without one."""
        result = self.connection.execute(statement, values)
        check_labels(kind, result.keys())
        return kind(*result.one())

    def mappings(self, statement: Selection) -> list[dict[str, object]]:
        """Return all rows of a statement as values by label."""
        rows = self.connection.execute(statement).mappings()
        return [{str(label): value for label, value in row.items()} for row in rows]

    def scalar(
        self, statement: TypedReturnsRows[T, *tuple[Any, ...]], values: Values = None
    ) -> T | None:
        """Return the first column of the first row, or None."""
        return self.connection.execute(statement, values).scalar()

    def scalars(
        self, statement: TypedReturnsRows[T, *tuple[Any, ...]], values: Values = None
    ) -> list[T]:
        """Return the first column of all rows."""
        return list(self.connection.execute(statement, values).scalars())

    def value(self, statement: TypedReturnsRows[T, *tuple[Any, ...]], values: Values = None) -> T:
        """Return the first column of the single row. Raises NoResultFound without one."""
        value: T = self.connection.execute(statement, values).scalar_one()
        return value


def check_labels(kind: Callable[..., object], labels: Iterable[str]) -> None:
    """Check that the columns of a statement have the names of the fields. Raises TypeError."""
    fields: tuple[str, ...] = getattr(kind, "_fields", ())
    if fields != tuple(labels):
        raise TypeError(f"{kind!r} has the fields {fields}, the statement {tuple(labels)}")
