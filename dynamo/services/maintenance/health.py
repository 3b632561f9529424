"""Health: answers of database, broker and beat, and waiting work."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from sqlalchemy.exc import SQLAlchemyError

from dynamo.clock import rfc3339
from dynamo.db.sites import breakers, feeds
from dynamo.db.tables import Deletion, Transfer
from dynamo.db.views import heartbeats
from dynamo.errors import Unavailable
from dynamo.services.context import Context
from dynamo.services.pagination import Item
from dynamo.tasks import periods

BEAT = "sweep"
"""The pulse that proves that beat, broker and policy pool live."""
_MISSED = 3


class Queues(Protocol):
    """The queues of the broker."""

    def depths(self) -> Mapping[str, int]:
        """Return the number of messages in each queue. Raises Unavailable."""


@dataclass(frozen=True, slots=True)
class Health:
    """The state of each part."""

    database: bool
    broker: bool
    beat: bool
    queues: Mapping[str, int]
    warnings: Sequence[str] = ()
    """Problems of working parts."""

    @property
    def status(self) -> str:
        """Return `ok`, `degraded` or `down`; without broker or beat the service is only slower."""
        if not self.database:
            return "down"
        return "ok" if self.broker and self.beat else "degraded"

    def item(self) -> Item:
        """Return the health as JSON values."""
        return {
            "status": self.status,
            "database": "ok" if self.database else "away",
            "broker": "ok" if self.broker else "away",
            "beat": "ok" if self.beat else "away",
            "queues": dict(self.queues),
            "warnings": list(self.warnings),
        }


def check(ctx: Context, queues: Queues) -> Health:
    """Return the health of database, broker and beat."""
    try:
        depths: Mapping[str, int] | None = queues.depths()
    except Unavailable:
        depths = None
    beat = _beat(ctx)
    warnings = _warnings(ctx) if beat is not None else []
    return Health(beat is not None, depths is not None, bool(beat), depths or {}, warnings)


def _warnings(ctx: Context) -> list[str]:
    """Return warnings about refused feeds; details need a token."""
    try:
        with ctx.begin.reading() as work:
            return [
                f"feed {row.name} is {row.reason}; its earlier statements stay, "
                + ("it was never accepted" if row.taken is None else f"of {rfc3339(row.taken)}")
                for row in feeds.doubtful(work)
            ]
    except SQLAlchemyError:
        return []


def _beat(ctx: Context) -> bool | None:
    """Return whether the beat is younger than three sweeps; None without the database."""
    silence = timedelta(seconds=_MISSED * periods(ctx.settings)[BEAT])
    try:
        with ctx.begin.reading() as work:
            at = heartbeats.at(work, BEAT)
            return at is not None and work.now - at <= silence
    except SQLAlchemyError:
        return None


@dataclass(frozen=True, slots=True)
class Load:
    """Numbers of files and of unfinished work."""

    files: int
    unfinished: Mapping[str, Mapping[str, int]]
    """Transfers and deletions, by state."""
    oldest_due: Mapping[str, float]
    """Seconds for which the oldest due operation of each kind has waited."""
    resting: Mapping[tuple[str, str], bool]
    """By site and operation: whether the breaker is open; False = half-open."""


_OPERATIONS: dict[str, type[Transfer] | type[Deletion]] = {
    "transfer": Transfer,
    "deletion": Deletion,
}


def load(ctx: Context) -> Load:
    """Return the numbers of files and of unfinished work."""
    with ctx.begin.reading() as work:
        return Load(
            heartbeats.files(work),
            {kind: heartbeats.unfinished(work, table) for kind, table in _OPERATIONS.items()},
            {kind: heartbeats.oldest_due(work, table) for kind, table in _OPERATIONS.items()},
            breakers.named(work),
        )
