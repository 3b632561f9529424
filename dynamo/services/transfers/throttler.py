"""Traffic: who may bring files where, what is sent to the workers next, and what is learnt of it.

Limits and breakers are looked at when a worker begins, under locks; when it ends, the next one is
called. Nothing is decided by the order of messages alone.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy import select

from dynamo.clock import rfc3339
from dynamo.db.engine.unit_of_work import Work, retried
from dynamo.db.sites import breakers
from dynamo.db.sites.breakers import Place, Result
from dynamo.db.tables import Site
from dynamo.db.transfers import fair_share, links, streams, transfers
from dynamo.db.transfers.links import Moved
from dynamo.db.transfers.streams import Admission, Limits, Way
from dynamo.db.work.claims import Holder
from dynamo.operations.breakers import Operation, Position, Rules
from dynamo.operations.failures import Blame, kind_of
from dynamo.services.context import Tools

CALLED = 2
"""Parked requests that the end of one stream calls: one may find its other end busy."""
_MOST = 10_000
_TOLD = 1000


@dataclass(slots=True)
class Experience:
    """What a worker found out on one way and has not told yet."""

    way: Way
    moved: Moved = field(default_factory=lambda: Moved(0, 0.0))
    results: dict[Place, Result] = field(default_factory=dict)

    def arrived(self, size: int, seconds: float) -> None:
        """Note a file that came."""
        self.moved += Moved(size, seconds)
        for place in self.way.places:
            self._add(place, Result(done=1))

    def failed(self, reason: str, text: str) -> None:
        """Note a failure, where it says something about one of the ends."""
        blame = kind_of(reason).blame
        operation = {Blame.SOURCE: Operation.READ, Blame.DESTINATION: Operation.WRITE}.get(
            blame or Blame.SOURCE
        )
        for place in self.way.places:
            if blame is not None and place[1] is operation:
                self._add(place, Result(failed=1, reason=reason, detail=text))

    def _add(self, place: Place, one: Result) -> None:
        before = self.results.get(place, Result())
        self.results[place] = Result(
            before.done + one.done,
            before.failed + one.failed,
            one.reason or before.reason,
            one.detail or before.detail,
        )

    def forget(self) -> None:
        """Begin anew: all of it is told."""
        self.moved = Moved(0, 0.0)
        self.results = {}

    @property
    def is_urgent(self) -> bool:
        """Tell whether something has failed, so that others should know soon."""
        return any(result.failed for result in self.results.values())


def limits(use: Tools) -> Limits:
    """Return how many streams there may be where sites set no limit."""
    return Limits(use.settings.site_streams, use.settings.transfer.link_streams)


def rules(use: Tools) -> Rules:
    """Return when breakers open, and for how long."""
    numbers = use.settings.breaker
    return Rules(
        numbers.failures,
        numbers.share,
        timedelta(seconds=numbers.half_life_seconds),
        timedelta(seconds=numbers.first_seconds),
        timedelta(seconds=numbers.longest_seconds),
    )


@retried
def enter(use: Tools, way: Way, ids: Sequence[int], holder: Holder) -> Admission:
    """Begin a stream, or say why not; who must wait for a breaker knows until when."""
    with use.begin() as work:
        admission = streams.enter(work, way, ids, holder, limits(use))
        if admission.rests is not None:
            site, operation, until = admission.rests
            text = said(work, site, operation, until)
            fair_share.postpone(work, ids, until, text)
        if not admission.granted:  # its other ways may be free
            refill(work, use, [row.id for row in streams.owners(work, ids)])
        return admission


def said(work: Work, site: int, operation: Operation, until: object) -> str:
    """Say in words that a breaker is open."""
    name = work.scalar(select(Site.name).where(Site.id == site))
    rest = next((one for one in breakers.resting(work, [site], operation)), None)
    why = "" if rest is None or rest.detail is None else f": {rest.detail}"
    return f"site {name} {operation} breaker open until {rfc3339(until)}{why}"  # type: ignore[arg-type]


@retried
def leave(use: Tools, known: Experience, holder: Holder, request_ids: Collection[int]) -> None:
    """End a stream: tell what was learnt, and send what comes next."""
    with use.begin() as work:
        _learn(work, use, known)
        streams.leave(work, known.way, holder)
        ids: list[int] = []
        for turn in fair_share.turns(work, limits(use), known.way, CALLED):
            ids += fair_share.next_of(work, turn, use.settings.work.batch)
        _send(work, use, ids)
        refill(work, use, request_ids)


@retried
def tell(use: Tools, known: Experience) -> None:
    """Tell what was learnt so far; it is not told again."""
    with use.begin() as work:
        _learn(work, use, known)
    known.forget()


def works(work: Work, use: Tools, place: Place) -> None:
    """Note that an operation succeeds at a site: what waited for its breaker goes on."""
    _weigh(work, use, {place: Result(done=1)})


def _weigh(work: Work, use: Tools, results: Mapping[Place, Result]) -> None:
    again = breakers.count(work, results, rules(use), use.dice)
    if again:
        fair_share.wake(work, again)


def _learn(work: Work, use: Tools, known: Experience) -> None:
    _weigh(work, use, known.results)
    if known.way.source_id != streams.OUTSIDE and known.moved.seconds > 0:
        half_life = timedelta(hours=use.settings.transfer.rate_half_life_hours)
        links.learn(work, {(known.way.source_id, known.way.site_id): known.moved}, half_life)


def refill(work: Work, use: Tools, request_ids: Collection[int]) -> None:
    """Send as much of each request as its window lets: the rest when some of it has ended."""
    window = use.settings.transfer.window * use.settings.work.batch
    ids: list[int] = []
    for request_id in sorted(request_ids):
        ids += fair_share.unsent(work, request_id, window)
    _send(work, use, ids)


def _send(work: Work, use: Tools, ids: Sequence[int]) -> None:
    _tell(work, use, fair_share.sent(work, ids))


def _tell(work: Work, use: Tools, ids: Sequence[int]) -> None:
    if ids:
        work.hint(*transfers.described(work, ids, use.settings.work.batch))


def sweep(work: Work, use: Tools) -> None:
    """Send what was lost, what was never sent, and who was parked and is not called by anybody."""
    streams.clear_dead(work)
    fair_share.forget_lost(work, timedelta(seconds=use.settings.work.hint_seconds), _MOST)
    for rest in breakers.resting(work, None, Operation.READ, Operation.WRITE):
        if rest.position is Position.OPEN:  # some of them say why they wait
            ids = fair_share.due_at(work, (rest.site_id, rest.operation), _TOLD)
            fair_share.postpone(
                work, ids, rest.until, said(work, rest.site_id, rest.operation, rest.until)
            )
    called: list[int] = []
    for turn in fair_share.turns(work, limits(use), None, _MOST // use.settings.work.batch):
        ids = fair_share.next_of(work, turn, use.settings.work.batch)
        called += fair_share.sent(work, ids)
    _tell(work, use, called)
    refill(work, use, fair_share.requests_unsent(work)[:_MOST])
