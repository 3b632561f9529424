"""Leases: a claim is renewed during remote work, and given up at once when it is lost."""

import secrets
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol, TypeVar

from dynamo.db.cycles import cycles
from dynamo.db.cycles.cycles import HeldCycle
from dynamo.db.engine.unit_of_work import UnitOfWork, Work, retried
from dynamo.db.transfers import streams
from dynamo.db.work import claims
from dynamo.db.work.claims import Claimable, Holder
from dynamo.errors import Unavailable
from dynamo.logs import logger
from dynamo.settings import Lease

log = logger("leases")


class _Claimed(Protocol):
    @property
    def id(self) -> int:
        """Its key."""


C = TypeVar("C", bound=_Claimed)


class LeaseLost(Exception):
    """The claim is lost: write nothing, touch nothing."""


class Heartbeat:
    """Renews the leases of one batch in its own thread, and knows which are still held."""

    def __init__(self, begin: UnitOfWork, table: Claimable, holder: Holder, beat: float) -> None:
        self._begin = begin
        self._table = table
        self._holder = holder
        self._beat = beat
        self._ours: set[int] = set()
        self._until = 0.0
        self._stop = threading.Event()

    def start(self, ids: Collection[int]) -> None:
        """Start with newly claimed rows."""
        self._ours = set(ids)
        self._until = time.monotonic() + self._holder.seconds

    def check(self, operation: int) -> None:
        """Raise LeaseLost if the claim ran out, was cancelled or taken over."""
        # the monotonic clock runs while the process is frozen, so that a process that wakes up
        # too late finds its lease lost
        if operation not in self._ours or time.monotonic() >= self._until:
            raise LeaseLost(f"{self._table.__tablename__} {operation}")

    def finished(self, ids: Collection[int]) -> None:
        """Stop renewing recorded rows."""
        self._ours = self._ours - set(ids)

    def run(self) -> None:
        """Renew until stopped."""
        while not self._stop.wait(self._beat):
            asked = time.monotonic()
            try:
                self._ours &= _renew(self._begin, self._table, self._ours, self._holder)
                self._until = asked + self._holder.seconds
            except Unavailable as error:
                log.warning("lease not renewed", detail=error.detail)

    def stop(self) -> None:
        """End the thread's loop."""
        self._stop.set()


@retried
def _renew(begin: UnitOfWork, table: Claimable, ids: Collection[int], holder: Holder) -> set[int]:
    with begin() as work:
        streams.renew(work, holder)
        return claims.renew(work, table, ids, holder) if ids else set()


@contextmanager
def keeping(
    begin: UnitOfWork, table: Claimable, holder: Holder, settings: Lease
) -> Iterator[Heartbeat]:
    """Renew claims while the block runs."""
    heartbeat = Heartbeat(begin, table, holder, settings.heartbeat)
    thread = threading.Thread(target=heartbeat.run, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield heartbeat
    finally:
        heartbeat.stop()
        thread.join()


def new_holder(settings: Lease) -> Holder:
    """Return a new, unique holder."""
    return Holder(secrets.token_hex(12), settings.seconds)


def by_turns(
    ids: Collection[int],
    settings: Lease,
    claim: Callable[[Collection[int], Holder], Sequence[C]],
    carry: Callable[[Holder, Sequence[C]], int],
) -> int:
    """Claim and carry out rows until none is free; return the sum of the results.

    Rows at which a worker died are claimed last and one by one, so that several claims may be
    needed.
    """
    remaining, done = set(ids), 0
    while claimed := claim(remaining, holder := new_holder(settings)):
        remaining -= {row.id for row in claimed}
        done += carry(holder, claimed)
    return done


class CycleLost(Exception):
    """The cycle is lost: write nothing, touch nothing."""


def fence(work: Work, held: HeldCycle, **values: object) -> None:
    """Renew the lease in the transaction that it guards. Raises CycleLost."""
    if not cycles.keep(work, held, **values):
        raise CycleLost


Fence = Callable[[Work], None]
"""Checks in a unit of work that the plan's lease is still held; raises if not."""


def nobody(_work: Work) -> None:
    """Do nothing, as no lease is held: the locks show a parallel planner that it is done."""
