"""Streams: how many workers bring files to and from sites at once, and who waits for one to end.

A stream is a row. It is added while the rows of the breakers at both ends are locked, after the
others were counted: so the limits are exact, however many workers come at once.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Nullable, delete, select, update

from dynamo.db.engine.unit_of_work import Work
from dynamo.db.sites import breakers
from dynamo.db.tables import BlockReplica, Parked, Request, Site, Stream, Transfer
from dynamo.db.work.claims import Holder
from dynamo.operations.breakers import Breaker, Operation, Position
from dynamo.operations.lifecycle import State

UNSENT = datetime(2000, 1, 1, tzinfo=UTC)
"""`Transfer.hinted` of what nobody was told of yet: its request has enough messages under way."""

OUTSIDE = 0
"""Stands for the source where it is none of our sites."""


@dataclass(frozen=True, slots=True, order=True)
class LinkKey:
    """From one site (or from outside) to another."""

    source_id: int
    site_id: int

    @property
    def places(self) -> list[breakers.BreakerKey]:
        """Return what is done at its ends."""
        source = [(self.source_id, Operation.READ)] if self.source_id != OUTSIDE else []
        return [*source, (self.site_id, Operation.WRITE)]


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """Streams into a site (and out of it), and on one link, at sites that set no limit."""

    site: int
    link: int


@dataclass(frozen=True, slots=True)
class Admission:
    """Whether a stream may begin."""

    granted: bool
    trial: bool = False
    """Only few files: nobody knows whether it works again."""
    rests: tuple[int, Operation, datetime] | None = None
    """The breaker that is open, and until when."""


class StreamRow(NamedTuple):
    """A stream."""

    source_id: int
    site_id: int
    user_id: int


class SiteLimits(NamedTuple):
    """The limits that a site sets itself."""

    id: int
    max_streams: int | None
    max_link_streams: int | None


class WaitingRequest(NamedTuple):
    """A request with transfers that wait, and whose it is."""

    id: int
    owner_id: int


class Load:
    """All streams at one moment, counted."""

    def __init__(self, streams: Sequence[StreamRow], limits: StreamLimits) -> None:
        self._limits = limits
        self._into = Counter(row.site_id for row in streams)
        self._out_of = Counter(row.source_id for row in streams)
        self._on = Counter((row.source_id, row.site_id) for row in streams)
        self.of_user = Counter(row.user_id for row in streams)
        self._own: dict[int, SiteLimits] = {}

    def limited(self, rows: Sequence[SiteLimits]) -> "Load":
        """Take in the limits that sites set themselves."""
        self._own = {row.id: row for row in rows}
        return self

    def has_room(self, way: LinkKey) -> bool:
        """Tell whether one more may begin."""
        if way.source_id == OUTSIDE:
            return self._into[way.site_id] < self._at(way.site_id)
        return (
            self._into[way.site_id] < self._at(way.site_id)
            and self._out_of[way.source_id] < self._at(way.source_id)
            and self._on[way.source_id, way.site_id] < self._between(way)
        )

    def is_used(self, place: breakers.BreakerKey) -> bool:
        """Tell whether anybody does this there."""
        site, operation = place
        return (self._into if operation is Operation.WRITE else self._out_of)[site] > 0

    def _at(self, site: int) -> int:
        own = self._own.get(site)
        return self._limits.site if own is None or own.max_streams is None else own.max_streams

    def _between(self, way: LinkKey) -> int:
        ends = (self._own.get(way.source_id), self._own.get(way.site_id))
        own = [end.max_link_streams for end in ends if end is not None]
        return min((most for most in own if most is not None), default=self._limits.link)


def by_link(work: Work, ids: Collection[int]) -> dict[LinkKey, list[int]]:
    """Sort transfers that nobody works on by their ways."""
    rows = work.rows(
        select(Transfer.id, Transfer.site_id, Nullable(BlockReplica.site_id))
        .outerjoin(BlockReplica, BlockReplica.id == Transfer.source_id)
        .where(Transfer.id.in_(ids), Transfer.state == State.QUEUED)
        .order_by(Transfer.id)
    )
    found: dict[LinkKey, list[int]] = {}
    for transfer, site, source in rows:
        found.setdefault(LinkKey(source or OUTSIDE, site), []).append(transfer)
    return found


def enter(
    work: Work, way: LinkKey, ids: Collection[int], holder: Holder, limits: StreamLimits
) -> Admission:
    """Begin a stream where there is room and nothing rests, or say why not.

    Who finds no room is parked: the end of another stream calls him.
    """
    gates = breakers.locked(work, way.places)
    tried = _on_trial(work, gates)
    if work.scalar(select(Stream.id).where(Stream.owner == holder.name)) is not None:
        return Admission(granted=True, trial=bool(tried))  # the answer to its commit was lost
    open_ones = [
        (place, breaker.until)
        for place, breaker in gates.items()
        if breaker.until is not None and breaker.position(work.now) is Position.OPEN
    ]
    if open_ones:
        place, until = max(open_ones, key=lambda one: one[1])
        return Admission(granted=False, rests=(*place, until))
    traffic = now(work, limits, way)
    waiting = owners(work, ids)
    if not waiting:
        return Admission(granted=False)
    if not traffic.has_room(way) or any(traffic.is_used(place) for place in tried):
        park(work, way, waiting)
        unsend(work, ids)
        return Admission(granted=False)
    work.add(
        Stream,
        owner=holder.name,
        user_id=waiting[0].owner_id,
        source_id=way.source_id,
        site_id=way.site_id,
        until=work.now + timedelta(seconds=holder.seconds),
    )
    return Admission(granted=True, trial=bool(tried))


def _on_trial(work: Work, gates: dict[breakers.BreakerKey, Breaker]) -> list[breakers.BreakerKey]:
    return [p for p, breaker in gates.items() if breaker.position(work.now) is Position.HALF_OPEN]


def now(work: Work, limits: StreamLimits, way: LinkKey | None = None) -> Load:
    """Count the streams at the ends of a way, or everywhere."""
    streams = select(Stream.source_id, Stream.site_id, Stream.user_id).where(
        Stream.until > work.now
    )
    own = select(Site.id, Site.max_streams, Site.max_link_streams).where(
        Site.max_streams.is_not(None) | Site.max_link_streams.is_not(None)
    )
    if way is not None:
        ends = [end for end in (way.source_id, way.site_id) if end != OUTSIDE]
        streams = streams.where(Stream.site_id.in_(ends) | Stream.source_id.in_(ends))
        own = own.where(Site.id.in_(ends))
    return Load(work.read(StreamRow, streams), limits).limited(work.read(SiteLimits, own))


def owners(work: Work, ids: Collection[int]) -> list[WaitingRequest]:
    """Return the requests of transfers that wait, with whose they are."""
    waiting = (Transfer.id.in_(ids), Transfer.state == State.QUEUED)
    return work.read(
        WaitingRequest,
        select(Request.id, Request.owner_id)
        .where(Request.id.in_(select(Transfer.request_id).where(*waiting)))
        .order_by(Request.id),
    )


def park(work: Work, way: LinkKey, requests: Sequence[WaitingRequest]) -> None:
    """Note that requests have files that wait for this way; who is noted keeps the place."""
    here = (Parked.source_id == way.source_id, Parked.site_id == way.site_id)
    known = select(Parked.request_id).where(*here, Parked.request_id.in_([r.id for r in requests]))
    there = set(work.scalars(known))
    ends = {"source_id": way.source_id, "site_id": way.site_id}
    work.insert(
        Parked,
        [
            {"request_id": row.id, "user_id": row.owner_id, **ends}
            for row in requests
            if row.id not in there
        ],
    )


def renew(work: Work, holder: Holder) -> None:
    """Keep a stream alive."""
    until = work.now + timedelta(seconds=holder.seconds)
    work.changed(update(Stream).where(Stream.owner == holder.name).values(until=until))


def leave(work: Work, way: LinkKey, holder: Holder) -> None:
    """End a stream; who is parked at that moment sees it, or parks after it."""
    breakers.locked(work, way.places)
    work.changed(delete(Stream).where(Stream.owner == holder.name))


def clear_dead(work: Work) -> int:
    """Forget streams whose workers fell silent long ago; they do not count any more anyway."""
    return work.changed(delete(Stream).where(Stream.until < work.now - timedelta(minutes=5)))


def unsend(work: Work, ids: Collection[int]) -> set[int]:
    """Note that nobody knows of these any more: they are sent again when it is their turn.

    What somebody else holds locked is passed over, not waited for, as he may be silent. It is
    returned.
    """
    mine = select(Transfer.id).where(Transfer.id.in_(ids), Transfer.state == State.QUEUED)
    free = work.scalars(work.skip_locked(mine.order_by(Transfer.id)))
    if free:
        work.changed(update(Transfer).where(Transfer.id.in_(free)).values(hinted=UNSENT))
    return set(work.scalars(mine)).difference(free)
