"""Circuit breakers of operations at sites."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from random import Random
from typing import NamedTuple

from sqlalchemy import bindparam, select, update

from dynamo.db import tables
from dynamo.db.engine.unit_of_work import Work
from dynamo.operations.breakers import Breaker, Operation, Position, Rules
from dynamo.reasons import Reason

BreakerKey = tuple[int, Operation]
"""A site and an operation."""


@dataclass(frozen=True, slots=True)
class Result:
    """Results of an operation at a site in one unit of work."""

    done: int = 0
    failed: int = 0
    reason: Reason | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class Rest:
    """An operation that pauses at a site, or is tried with a few files only."""

    site_id: int
    operation: Operation
    position: Position
    until: datetime
    reason: str | None
    detail: str | None
    since: datetime | None
    """Time of the first failure since the last success."""


class BreakerRow(NamedTuple):
    """A breaker."""

    site_id: int
    operation: str
    failed: float
    done: float
    counted: datetime
    until: datetime | None
    trips: int
    since: datetime | None
    reason: str | None
    detail: str | None

    @property
    def key(self) -> BreakerKey:
        """Return whose it is."""
        return self.site_id, Operation(self.operation)

    @property
    def breaker(self) -> Breaker:
        """Return how it stands."""
        return Breaker(self.counted, self.failed, self.done, self.until, self.trips, self.since)


_BREAKERS = select(
    tables.Breaker.site_id,
    tables.Breaker.operation,
    tables.Breaker.failed,
    tables.Breaker.done,
    tables.Breaker.counted,
    tables.Breaker.until,
    tables.Breaker.trips,
    tables.Breaker.since,
    tables.Breaker.reason,
    tables.Breaker.detail,
)


def locked(work: Work, places: Collection[BreakerKey]) -> dict[BreakerKey, Breaker]:
    """Lock breakers in a fixed order and return them; missing ones are made."""
    wanted = sorted(places)
    existing = _locked(work, wanted)
    missing = [place for place in wanted if place not in existing]
    if not missing:
        return existing
    rows = [
        {
            "site_id": site,
            "operation": operation.value,
            "failed": 0.0,
            "done": 0.0,
            "counted": work.now,
            "trips": 0,
        }
        for site, operation in missing
    ]
    work.insert(tables.Breaker, rows)  # a worker that loses the race runs again and finds them
    return existing | {place: Breaker(work.now) for place in missing}


def _locked(work: Work, places: Sequence[BreakerKey]) -> dict[BreakerKey, Breaker]:
    breakers_: dict[BreakerKey, Breaker] = {}
    for place in places:  # one by one, by key: a search would wait for locks on other sites too
        row = work.read_one(BreakerRow, _ONE, {"of_site": place[0], "of_operation": place[1].value})
        if row is not None:
            breakers_[place] = row.breaker
    return breakers_


_KEY = (tables.Breaker.site_id, tables.Breaker.operation)
_ONE = _BREAKERS.where(
    tables.Breaker.site_id == bindparam("of_site"),
    tables.Breaker.operation == bindparam("of_operation"),
).with_for_update()


def resting(
    work: Work, site_ids: Collection[int] | None = None, *operations: Operation
) -> list[Rest]:
    """Return open and half-open breakers (of sites, of operations), by site."""
    open_ones = _BREAKERS.where(tables.Breaker.until.is_not(None))
    wanted = open_ones.order_by(*_KEY)
    if site_ids is not None:
        wanted = wanted.where(tables.Breaker.site_id.in_(site_ids))
    if operations:
        wanted = wanted.where(
            tables.Breaker.operation.in_([operation.value for operation in operations])
        )
    return [
        Rest(
            *row.key,
            row.breaker.position(work.now),
            row.until,
            row.reason,
            row.detail,
            row.since,
        )
        for row in work.read(BreakerRow, wanted)
        if row.until is not None
    ]


def named(work: Work) -> dict[tuple[str, str], bool]:
    """Return, by site and operation, whether the breaker is open; False = half-open."""
    sites = dict(work.rows(select(tables.Site.id, tables.Site.name)))
    return {
        (sites[rest.site_id], rest.operation.value): rest.position is Position.OPEN
        for rest in resting(work)
    }


def count(
    work: Work, results: Mapping[BreakerKey, Result], rules: Rules, draw: Random
) -> dict[BreakerKey, datetime]:
    """Add results; return breakers that closed, with the time since when they were open.

    Successes without recent failures change nothing, so that a success costs one SELECT.
    """
    places = sorted(results)
    near = _BREAKERS.where(tables.Breaker.site_id.in_({site for site, _ in places}))
    before = {row.key: row.breaker for row in work.read(BreakerRow, near)}
    telling = [
        place
        for place in places
        if results[place].failed or (place in before and not before[place].is_clear)
    ]
    again: dict[BreakerKey, datetime] = {}
    for place, breaker in (locked(work, telling) if telling else {}).items():
        if _weigh(work, place, breaker, results[place], rules, draw):
            again[place] = breaker.since or breaker.counted
    return again


def _weigh(
    work: Work, place: BreakerKey, breaker: Breaker, result: Result, rules: Rules, draw: Random
) -> bool:
    after = breaker.after(result.done, result.failed, work.now, rules)
    texts = {}
    if result.failed:
        texts = {"reason": result.reason, "detail": (result.detail or "")[:1000]}
        if after.is_enough(work.now, rules):
            after = after.opened(work.now, rules, draw)
    elif after.until is None and breaker.until is not None:
        texts = {"reason": None, "detail": None}
    _put(work, place, after, texts)
    return breaker.until is not None and after.until is None


def close(work: Work, site_ids: Collection[int]) -> int:
    """Close all breakers of sites for an operator; return how many were open."""
    closed = {"failed": 0.0, "done": 0.0, "until": None, "trips": 0}
    closed |= {"since": None, "reason": None, "detail": None}
    open_breakers = (tables.Breaker.site_id.in_(site_ids), tables.Breaker.until.is_not(None))
    return work.changed(update(tables.Breaker).where(*open_breakers).values(closed))


def _put(work: Work, place: BreakerKey, breaker: Breaker, texts: Mapping[str, str | None]) -> None:
    site, operation = place
    work.changed(
        update(tables.Breaker)
        .where(tables.Breaker.site_id == site, tables.Breaker.operation == operation.value)
        .values(
            counted=breaker.counted,
            failed=breaker.failed,
            done=breaker.done,
            until=breaker.until,
            trips=breaker.trips,
            since=breaker.since,
            **texts,
        )
    )
