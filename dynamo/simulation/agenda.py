"""The virtual clock: a queue of events in order of time."""

import heapq
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import count

Act = Callable[[], object]


class Agenda:
    """Future events; the clock jumps from one event to the next."""

    def __init__(self, begin: datetime) -> None:
        """Start at a time without events."""
        self.now = begin
        self._order = count()
        self._coming: list[tuple[datetime, int, Act]] = []

    def at(self, moment: datetime, act: Act) -> None:
        """Add an event, after earlier ones of the same time; past times mean now."""
        heapq.heappush(self._coming, (max(moment, self.now), next(self._order), act))

    def every(self, period: timedelta, act: Act) -> None:
        """Repeat an event, now and after each period."""

        def again() -> None:
            act()
            self.at(self.now + period, again)

        self.at(self.now, again)

    def until(self, end: datetime) -> None:
        """Run events up to a time."""
        while self._coming and self._coming[0][0] <= end:
            self.now, _, act = heapq.heappop(self._coming)
            act()
        self.now = end
