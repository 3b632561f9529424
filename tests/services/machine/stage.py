"""A stage on which things go wrong at a chosen point: of a unit of work, or of a storage's call.

Points are counted while a task runs. At the chosen one its worker dies, the storage refuses, an
answer gets lost, or the world goes on for a while as if the worker were frozen.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine

from dynamo.db.engine.unit_of_work import Clock, UnitOfWork, Work
from dynamo.operations.hints import Hint
from dynamo.reasons import Reason
from dynamo.storage.protocol import Storage, StorageError
from dynamo.storage.registry import Storages

READS = frozenset({"stat", "adler32", "arrived", "read", "listing", "free"})
CHANGES = frozenset(
    {"write", "adopt", "give_back", "rename", "persist", "delete", "discard", "prepare"}
)


class Died(BaseException):
    """The process is no more: nothing that it would have done is done."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """What happens at the n-th point, or at the next one that it can happen at."""

    at: int
    meet: Callable[[str], bool]
    """Is told where and says whether it could happen there; what it raises is raised there."""


class Points:
    """Counts the points of one task and makes what is planned happen at its place."""

    def __init__(self) -> None:
        self._trouble: Trouble | None = None
        self._count = 0
        self._dead = False

    @contextmanager
    def plan(self, trouble: Trouble) -> Iterator[None]:
        """Let something happen while the block runs; what it has killed ends there."""
        before = (self._trouble, self._count, self._dead)
        self._trouble, self._count, self._dead = trouble, 0, False
        try:
            with suppress(Died):
                yield
        finally:
            self._trouble, self._count, self._dead = before

    @contextmanager
    def calm(self) -> Iterator[None]:
        """Let nothing happen while others work."""
        before = (self._trouble, self._count, self._dead)
        self._trouble, self._count, self._dead = None, 0, False
        try:
            yield
        finally:
            self._trouble, self._count, self._dead = before

    def passed(self, where: str) -> None:
        """Note that a point was reached."""
        if self._dead:
            raise Died
        if self._trouble is None:
            return
        self._count += 1
        trouble = self._trouble
        if self._count < trouble.at:
            return
        self._trouble = None  # it happens once, also where it raises
        try:
            if not trouble.meet(where):
                self._trouble = trouble
        except Died:
            self._dead = True
            raise


class Stage(UnitOfWork):
    """Units of work with a point before each begins, after its commit, and after its hints."""

    def __init__(
        self,
        engine: Engine,
        publish: Callable[[Sequence[Hint]], None],
        clock: Clock,
        points: Points,
    ) -> None:
        def announce(hints: Sequence[Hint]) -> None:
            points.passed("committed")
            publish(hints)

        super().__init__(engine, announce, clock)
        self._points = points

    @contextmanager
    def __call__(self) -> Iterator[Work]:
        """Begin a unit that writes."""
        self._points.passed("begin")
        with super().__call__() as work:
            yield work
        self._points.passed("recorded")


class Watched:
    """A storage of which each call has a point before it, and each change one after it."""

    def __init__(self, storage: Storage, points: Points) -> None:
        self._storage = storage
        self._points = points

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._storage, name)
        if name == "batched":
            return self._batched
        if name not in READS | CHANGES:
            return found

        def call(*args: Any) -> Any:
            self._points.passed(f"before {name}")
            given = found(*args)
            if name in CHANGES:
                self._points.passed(f"after {name}")
            return given

        return call

    @contextmanager
    def _batched(self) -> Iterator["Watched"]:
        with self._storage.batched() as storage:
            yield Watched(storage, self._points)


class WatchedStorages(Storages):
    """The real storages, with points."""

    def __init__(self, area: str, points: Points) -> None:
        super().__init__(area)
        self._points = points

    def answering_within(self, seconds: float) -> Storages:
        """Return the same: whatever is waited for here comes at once."""
        del seconds
        return self

    def at(self, url: str, rules: Mapping[str, object]) -> Any:
        """Return the storage of a site."""
        return Watched(super().at(url, rules), self._points)


def die(_where: str) -> bool:
    """Let the worker die."""
    raise Died


def refuse(where: str) -> bool:
    """Let a storage refuse; after a call that had its effect, let the answer get lost."""
    if where.startswith("before"):
        raise StorageError(Reason.DESTINATION_ERROR, f"refused {where}")
    if where.startswith("after"):
        raise StorageError(Reason.QUEUE_TIMEOUT, f"no answer {where}", unknown=True)
    return False
