"""Pages of lists: cursor and size from the caller, items and next cursor to the caller."""

import base64
import binascii
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from dynamo.db.engine.pagination import Listing, PageRows, Position, Span
from dynamo.db.engine.unit_of_work import Work
from dynamo.errors import Invalid

Shown = TypeVar("Shown")

Item = dict[str, object]
"""What a caller is shown of a thing."""
_PLAIN = re.compile(r"[ -~]{0,1000}", re.ASCII)


@dataclass(frozen=True, slots=True)
class PageRequest:
    """The cursor of a page, from the previous page, and its maximum size."""

    cursor: str | None
    limit: int

    def of(self, work: Work, listing: Listing[Shown]) -> PageRows[Shown]:
        """Return the rows of a list for this page. Raises Invalid."""
        return listing.page(work, self.span(listing.kinds))

    def span(self, kinds: tuple[type, ...]) -> Span:
        """Return the position in a list with keys of these kinds. Raises Invalid."""
        return Span(None if self.cursor is None else _read(self.cursor, kinds), self.limit)


@dataclass(frozen=True, slots=True)
class Page:
    """Items, and the cursor of the next page; None = last page."""

    items: Sequence[Item]
    next: str | None


def write(position: Position | None) -> str | None:
    """Return a position as an opaque text."""
    if position is None:
        return None
    return base64.urlsafe_b64encode(json.dumps(position).encode()).decode().rstrip("=")


def page(rows: PageRows[Shown], items: Sequence[Item]) -> Page:
    """Return a page of items that were made from rows."""
    return Page(items, write(rows.next))


def _read(cursor: str, kinds: tuple[type, ...]) -> Position:
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        decoded = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (ValueError, binascii.Error, RecursionError):
        decoded = None
    if isinstance(decoded, list) and len(decoded) == len(kinds) and all(map(_is, decoded, kinds)):
        return tuple(decoded)
    raise Invalid("the cursor does not belong to this list; start without one")


def _is(value: object, kind: type) -> bool:
    if type(value) is not kind:
        return False
    if isinstance(value, str):
        return _PLAIN.fullmatch(value) is not None
    return isinstance(value, int) and abs(value) < 2**63
