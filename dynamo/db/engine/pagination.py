"""Pages of lists: each starts after the previous one in the order of an index, without counting."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar, TypeVarTuple

from sqlalchemy import ColumnElement, Select, and_, or_
from sqlalchemy.orm import InstrumentedAttribute

from dynamo.db.engine.typed_rows import Selection, check_labels
from dynamo.db.engine.unit_of_work import Work
from dynamo.inventory.globs import Glob

Ts = TypeVarTuple("Ts")
Shown = TypeVar("Shown")
Row = TypeVar("Row", bound="Numbered")

Column = InstrumentedAttribute[Any]
Rows = Sequence[tuple[Any, ...]]
"""Rows with any columns."""

Position = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a list: after a position, up to a limit of rows."""

    after: Position | None
    limit: int


@dataclass(frozen=True, slots=True)
class PageRows(Generic[Shown]):
    """A page of rows, and the position before the next page; None = last page."""

    rows: Sequence[Shown]
    next: Position | None


class Numbered(Protocol):
    """A row with a key."""

    @property
    def id(self) -> int:
        """Return the key."""


def cut(rows: Sequence[Row], span: Span) -> PageRows[Row]:
    """Return a page from rows in order of their keys, which include one more than the limit."""
    if len(rows) <= span.limit:
        return PageRows(rows, None)
    return PageRows(rows[: span.limit], (rows[span.limit - 1].id,))


def ordered(work: Work, statement: Selection, *order: ColumnElement[Any]) -> Rows:
    """Return all rows in an order, read row by row."""
    return work.rows(statement.order_by(*order))


@dataclass(frozen=True, slots=True)
class Listing(Generic[Shown]):
    """A list that can be read page by page.

    The page is chosen first, in the listed table and its index alone, and then joined with the
    other columns. Otherwise MariaDB may start with another table and sort everything.
    """

    row: Callable[..., Shown]
    """The named tuple of each row."""
    shown: Selection
    """The statement for the columns of each row."""
    chosen: Selection
    """The statement for the keys of the wanted rows, as `id`."""
    id: Column
    keys: Sequence[Column]
    """The sort order: columns of an index, the last ones unique."""
    read: Callable[..., Rows]
    """Reads the rows of a statement in an order."""

    @classmethod
    def of(
        cls,
        row: Callable[[*Ts], Shown],
        shown: Select[*Ts],
        chosen: Selection,
        id: Column,  # noqa: A002 - the field's name
        keys: Sequence[Column],
        read: Callable[..., Rows] = ordered,
    ) -> "Listing[Shown]":
        """Return a list whose named tuples have the types of the shown columns."""
        check_labels(row, shown.selected_columns.keys())
        return Listing(row, shown, chosen, id, keys, read)

    @property
    def kinds(self) -> tuple[type, ...]:
        """Return the types of the parts of a position."""
        return tuple(key.type.python_type for key in self.keys)

    def page(self, work: Work, span: Span) -> PageRows[Shown]:
        """Return the rows after a position in ascending order of the keys."""
        chosen = self.choice(span).subquery("page")
        keys = [chosen.c[f"key_{n}"] for n in range(len(self.keys))]
        joined = self.shown.join(chosen, chosen.c.id == self.id).add_columns(*keys)
        rows = self.read(work, joined, *keys)
        page = [self.row(*row[: -len(keys)]) for row in rows[: span.limit]]
        if len(rows) <= span.limit:
            return PageRows(page, None)
        return PageRows(page, tuple(rows[span.limit - 1][-len(keys) :]))

    def choice(self, span: Span) -> Selection:
        """Return the statement for the keys of a page, and one more."""
        named = [key.label(f"key_{n}") for n, key in enumerate(self.keys)]
        chosen = self.chosen.add_columns(*named).order_by(*self.keys).limit(span.limit + 1)
        return chosen if span.after is None else chosen.where(after(self.keys, span.after))


def after(keys: Sequence[Column], position: Position) -> ColumnElement[bool]:
    """Return the condition for rows after a position, in a form that uses an index."""
    first, value = keys[0], position[0]
    if len(keys) == 1:
        return first > value
    return or_(first > value, and_(first == value, after(keys[1:], position[1:])))


def fits(work: Work, column: Column, glob: Glob) -> ColumnElement[bool]:
    """Return the condition that a name matches a glob: its prefix as an index range, and the whole.

    SQLite's LIKE ignores case, so its GLOB is used there; `*` and `?` mean the same.
    """
    if glob.exact:
        return column == glob.text
    whole = column.like(glob.like, escape="!") if work.is_mysql else column.op("GLOB")(glob.text)
    if glob.beyond is None:
        return whole
    return and_(column >= glob.prefix, column < glob.beyond, whole)
