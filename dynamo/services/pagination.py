"""Pages: what callers say where to go on, and what they get."""

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
    """Where a page begins, as the last one said, and how long it may be."""

    cursor: str | None
    limit: int

    def of(self, work: Work, listing: Listing[Shown]) -> PageRows[Shown]:
        """Return the rows of a list at this place. Raises Invalid."""
        return listing.page(work, self.span(listing.kinds))

    def span(self, kinds: tuple[type, ...]) -> Span:
        """Return the place in a list whose keys are of these kinds. Raises Invalid."""
        return Span(None if self.cursor is None else _read(self.cursor, kinds), self.limit)


@dataclass(frozen=True, slots=True)
class Page:
    """Items, and where the next page begins; None = this was the last."""

    items: Sequence[Item]
    next: str | None


def write(position: Position | None) -> str | None:
    """Write a position as an opaque text."""
    if position is None:
        return None
    return base64.urlsafe_b64encode(json.dumps(position).encode()).decode().rstrip("=")


def page(rows: PageRows[Shown], items: Sequence[Item]) -> Page:
    """Make a page of what became of rows."""
    return Page(items, write(rows.next))


def _read(cursor: str, kinds: tuple[type, ...]) -> Position:
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        found = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (ValueError, binascii.Error, RecursionError):
        found = None
    if isinstance(found, list) and len(found) == len(kinds) and all(map(_is, found, kinds)):
        return tuple(found)
    raise Invalid("this cursor was not given out for this list; begin without one")


def _is(value: object, kind: type) -> bool:
    if type(value) is not kind:
        return False
    if isinstance(value, str):
        return _PLAIN.fullmatch(value) is not None
    return isinstance(value, int) and abs(value) < 2**63
