"""Pages: from where the last one ended, in the order of an index, never by counting rows."""

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
"""Rows that may have any columns."""

Position = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Span:
    """Which part of a list is wanted: after a position, at most so many rows."""

    after: Position | None
    limit: int


@dataclass(frozen=True, slots=True)
class PageRows(Generic[Shown]):
    """One page of rows, and the position after which the next begins; None = this is the last."""

    rows: Sequence[Shown]
    next: Position | None


class Numbered(Protocol):
    """A row with a key of its own."""

    @property
    def id(self) -> int:
        """Return the key."""


def cut(rows: Sequence[Row], span: Span) -> PageRows[Row]:
    """Make a page of rows that were read in the order of their keys, one more than it may hold."""
    if len(rows) <= span.limit:
        return PageRows(rows, None)
    return PageRows(rows[: span.limit], (rows[span.limit - 1].id,))


def ordered(work: Work, statement: Selection, *order: ColumnElement[Any]) -> Rows:
    """Return all rows in an order, as the driver reads them."""
    return work.rows(statement.order_by(*order))


@dataclass(frozen=True, slots=True)
class Listing(Generic[Shown]):
    """A list that can be read page by page.

    The page is chosen first, in the listed table and its index alone, and only then joined with
    what else is shown: left to itself, MariaDB may begin with another table and sort everything.
    """

    row: Callable[..., Shown]
    """The named tuple that is made of each row."""
    shown: Selection
    """What is shown of each row, in any order."""
    chosen: Selection
    """The keys of the rows that are wanted, as `id`."""
    id: Column
    keys: Sequence[Column]
    """What orders the list: the columns of an index, the last ones unique."""
    read: Callable[..., Rows]
    """What reads the rows of a page, which a statement finds, in an order."""

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
        """Return a list whose named tuples have the types of the columns that are shown."""
        check_labels(row, shown.selected_columns.keys())
        return Listing(row, shown, chosen, id, keys, read)

    @property
    def kinds(self) -> tuple[type, ...]:
        """Return what the parts of a position are."""
        return tuple(key.type.python_type for key in self.keys)

    def page(self, work: Work, span: Span) -> PageRows[Shown]:
        """Return the rows that follow a position in ascending order of the keys."""
        chosen = self.choice(span).subquery("page")
        keys = [chosen.c[f"key_{n}"] for n in range(len(self.keys))]
        joined = self.shown.join(chosen, chosen.c.id == self.id).add_columns(*keys)
        rows = self.read(work, joined, *keys)
        page = [self.row(*row[: -len(keys)]) for row in rows[: span.limit]]
        if len(rows) <= span.limit:
            return PageRows(page, None)
        return PageRows(page, tuple(rows[span.limit - 1][-len(keys) :]))

    def choice(self, span: Span) -> Selection:
        """Return the statement that finds which rows make a page, and one more."""
        named = [key.label(f"key_{n}") for n, key in enumerate(self.keys)]
        chosen = self.chosen.add_columns(*named).order_by(*self.keys).limit(span.limit + 1)
        return chosen if span.after is None else chosen.where(after(self.keys, span.after))


def after(keys: Sequence[Column], position: Position) -> ColumnElement[bool]:
    """Hold for rows after a position, in words that an index understands."""
    first, value = keys[0], position[0]
    if len(keys) == 1:
        return first > value
    return or_(first > value, and_(first == value, after(keys[1:], position[1:])))


def fits(work: Work, column: Column, glob: Glob) -> ColumnElement[bool]:
    """Hold where a name fits a glob: the prefix as a range of the index, then the whole of it.

    LIKE of SQLite ignores case, so its GLOB is used there; it knows `*` and `?` the same way.
    """
    if glob.exact:
        return column == glob.text
    whole = column.like(glob.like, escape="!") if work.is_mysql else column.op("GLOB")(glob.text)
    if glob.beyond is None:
        return whole
    return and_(column >= glob.prefix, column < glob.beyond, whole)
