"""Formats of feeds: a JSON document each, with the time that it describes."""

from datetime import UTC, datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from dynamo.errors import Invalid
from dynamo.inventory.schemas import AccessReport, Asked, DemandReport, Text

_Moment = Annotated[datetime, Meta(tz=True)]
_FIRST, _LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)
"""Limits of times that every zone and database can represent."""


class Downtime(Asked, frozen=True, kw_only=True):
    """A period in which a site must not be used."""

    begins: _Moment
    ends: _Moment
    why: Annotated[str, Meta(max_length=1000)] | None = None

    def __post_init__(self) -> None:
        """Check the period. Raises ValueError."""
        if self.ends <= self.begins:
            raise ValueError("a downtime ends before it begins")
        for moment in (self.begins, self.ends):
            if not _FIRST <= moment <= _LAST:
                raise ValueError("a downtime is beyond all calendars")


class SiteTold(Asked, frozen=True, kw_only=True):
    """A site's status and downtimes; without a status only the downtimes count."""

    name: Text
    status: Literal["ready", "waitroom"] | None = None
    downtimes: tuple[Downtime, ...] = ()


class Sites(Asked, frozen=True, kw_only=True):
    """A feed of kind `sites`; entries that disappear from it are over."""

    generated: _Moment
    sites: tuple[SiteTold, ...]


class Accesses(Asked, frozen=True, kw_only=True):
    """A feed of kind `accesses`."""

    generated: _Moment
    accesses: tuple[AccessReport, ...]


class Demands(Asked, frozen=True, kw_only=True):
    """A feed of kind `demands`."""

    generated: _Moment
    demands: tuple[DemandReport, ...]


Document = Sites | Accesses | Demands
KINDS: dict[str, type[Document]] = {"sites": Sites, "accesses": Accesses, "demands": Demands}


def decode(kind: str, content: bytes) -> Document:
    """Return the document of a kind. Raises Invalid for another format."""
    try:
        document: Document = msgspec.json.decode(content, type=KINDS[kind])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid(f"it is no document of kind {kind}: {error}"[:500]) from error
    return document
