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
from dynamo.db.sites.breakers import BreakerKey, Result
from dynamo.db.tables import Site
from dynamo.db.transfers import fair_share, links, streams, transfers
from dynamo.db.transfers.links import Moved
from dynamo.db.transfers.streams import Admission, LinkKey, StreamLimits
from dynamo.db.work.claims import Holder
from dynamo.operations.breakers import Operation, Position, Rules
from dynamo.reasons import Blame, Reason
from dynamo.services.context import Context

CALLED = 2
"""Parked requests that the end of one stream calls: one may find its other end busy."""
_MOST = 10_000
_TOLD = 1000


@dataclass(slots=True)
class Experience:
    """What a worker found out on one way and has not told yet."""

    way: LinkKey
    moved: Moved = field(default_factory=lambda: Moved(0, 0.0))
    results: dict[BreakerKey, Result] = field(default_factory=dict)

    def arrived(self, size: int, seconds: float) -> None:
        """Note a file that came."""
        self.moved += Moved(size, seconds)
        for place in self.way.places:
            self._add(place, Result(done=1))

    def failed(self, reason: Reason, text: str) -> None:
        """Note a failure, where it says something about one of the ends."""
        operation = {Blame.SOURCE: Operation.READ, Blame.DESTINATION: Operation.WRITE}.get(
            reason.blame or Blame.SOURCE
        )
        for place in self.way.places:
            if reason.blame is not None and place[1] is operation:
                self._add(place, Result(failed=1, reason=reason, detail=text))

    def _add(self, place: BreakerKey, one: Result) -> None:
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


def limits(ctx: Context) -> StreamLimits:
    """Return how many streams there may be where sites set no limit."""
    return StreamLimits(ctx.settings.site_streams, ctx.settings.transfer.link_streams)


def rules(ctx: Context) -> Rules:
    """Return when breakers open, and for how long."""
    numbers = ctx.settings.breaker
    return Rules(
        numbers.failures,
        numbers.share,
        timedelta(seconds=numbers.half_life_seconds),
        timedelta(seconds=numbers.first_seconds),
        timedelta(seconds=numbers.longest_seconds),
    )


@retried
def enter(ctx: Context, way: LinkKey, ids: Sequence[int], holder: Holder) -> Admission:
    """Begin a stream, or say why not; who must wait for a breaker knows until when."""
    with ctx.begin() as work:
        admission = streams.enter(work, way, ids, holder, limits(ctx))
        if admission.rests is not None:
            site, operation, until = admission.rests
            text = said(work, site, operation, until)
            fair_share.postpone(work, ids, until, text)
        if not admission.granted:  # its other ways may be free
            refill(work, ctx, [row.id for row in streams.owners(work, ids)])
        return admission


def said(work: Work, site: int, operation: Operation, until: object) -> str:
    """Say in words that a breaker is open."""
    name = work.scalar(select(Site.name).where(Site.id == site))
    rest = next((one for one in breakers.resting(work, [site], operation)), None)
    why = "" if rest is None or rest.detail is None else f": {rest.detail}"
    return f"site {name} {operation} breaker open until {rfc3339(until)}{why}"  # type: ignore[arg-type]


@retried
def leave(ctx: Context, known: Experience, holder: Holder, request_ids: Collection[int]) -> None:
    """End a stream: tell what was learnt, and send what comes next."""
    with ctx.begin() as work:
        _learn(work, ctx, known)
        streams.leave(work, known.way, holder)
        ids: list[int] = []
        for turn in fair_share.fair_shares(work, limits(ctx), known.way, CALLED):
            ids += fair_share.next_of(work, turn, ctx.settings.work.batch)
        _send(work, ctx, ids)
        refill(work, ctx, request_ids)


@retried
def note_results(ctx: Context, known: Experience) -> None:
    """Tell what was learnt so far; it is not told again."""
    with ctx.begin() as work:
        _learn(work, ctx, known)
    known.forget()


def works(work: Work, ctx: Context, place: BreakerKey) -> None:
    """Note that an operation succeeds at a site: what waited for its breaker goes on."""
    _weigh(work, ctx, {place: Result(done=1)})


def _weigh(work: Work, ctx: Context, results: Mapping[BreakerKey, Result]) -> None:
    again = breakers.count(work, results, rules(ctx), ctx.dice)
    if again:
        fair_share.wake(work, again)


def _learn(work: Work, ctx: Context, known: Experience) -> None:
    _weigh(work, ctx, known.results)
    if known.way.source_id != streams.OUTSIDE and known.moved.seconds > 0:
        half_life = timedelta(hours=ctx.settings.transfer.rate_half_life_hours)
        links.learn(work, {(known.way.source_id, known.way.site_id): known.moved}, half_life)


def refill(work: Work, ctx: Context, request_ids: Collection[int]) -> None:
    """Send as much of each request as its window lets: the rest when some of it has ended."""
    window = ctx.settings.transfer.window * ctx.settings.work.batch
    ids: list[int] = []
    for request_id in sorted(request_ids):
        ids += fair_share.unsent(work, request_id, window)
    _send(work, ctx, ids)


def _send(work: Work, ctx: Context, ids: Sequence[int]) -> None:
    _send_hints(work, ctx, fair_share.sent(work, ids))


def _send_hints(work: Work, ctx: Context, ids: Sequence[int]) -> None:
    if ids:
        work.hint(*transfers.described(work, ids, ctx.settings.work.batch))


def sweep(work: Work, ctx: Context) -> None:
    """Send what was lost, what was never sent, and who was parked and is not called by anybody."""
    streams.clear_dead(work)
    fair_share.forget_lost(work, timedelta(seconds=ctx.settings.work.hint_seconds), _MOST)
    for rest in breakers.resting(work, None, Operation.READ, Operation.WRITE):
        if rest.position is Position.OPEN:  # some of them say why they wait
            ids = fair_share.due_at(work, (rest.site_id, rest.operation), _TOLD)
            fair_share.postpone(
                work, ids, rest.until, said(work, rest.site_id, rest.operation, rest.until)
            )
    called: list[int] = []
    for turn in fair_share.fair_shares(work, limits(ctx), None, _MOST // ctx.settings.work.batch):
        ids = fair_share.next_of(work, turn, ctx.settings.work.batch)
        called += fair_share.sent(work, ids)
    _send_hints(work, ctx, called)
    refill(work, ctx, fair_share.requests_unsent(work)[:_MOST])
