"""Writes the history: events with their actors and reasons."""

from collections.abc import Iterable
from dataclasses import dataclass

from dynamo.db.engine.unit_of_work import Work
from dynamo.db.tables import History
from dynamo.logs import trace


@dataclass(frozen=True, slots=True)
class Event:
    """An event; with names instead of keys, as its rows may be deleted later."""

    what: str
    who: str
    dataset: str | None = None
    block: str | None = None
    lfn: str | None = None
    site: str | None = None
    n_files: int | None = None
    bytes: int | None = None
    request_id: int | None = None
    why: str | None = None


def _row(work: Work, event: Event, request_trace: str) -> dict[str, object]:
    return {
        "at": work.now,
        "who": event.who,
        "what": event.what,
        "dataset": event.dataset,
        "block": event.block,
        "lfn": event.lfn,
        "site": event.site,
        "n_files": event.n_files,
        "bytes": event.bytes,
        "request_id": event.request_id,
        "trace": request_trace,
        "why": event.why[:1000] if event.why else None,
    }


def record(work: Work, events: Iterable[Event]) -> None:
    """Write events, with the id of the HTTP request that caused them."""
    request_trace = trace()
    work.insert(History, [_row(work, event, request_trace) for event in events])
