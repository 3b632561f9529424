"""The virtual clock: what happens when, one thing after the other."""

import heapq
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import count

Act = Callable[[], object]


class Agenda:
    """What is still to happen; the clock jumps from one thing to the next."""

    def __init__(self, begin: datetime) -> None:
        """Begin at a moment with nothing to do."""
        self.now = begin
        self._order = count()
        self._coming: list[tuple[datetime, int, Act]] = []

    def at(self, moment: datetime, act: Act) -> None:
        """Do something at a moment, behind what was put there before; at once if it has passed."""
        heapq.heappush(self._coming, (max(moment, self.now), next(self._order), act))

    def every(self, period: timedelta, act: Act) -> None:
        """Do something now and again and again."""

        def again() -> None:
            act()
            self.at(self.now + period, again)

        self.at(self.now, again)

    def until(self, end: datetime) -> None:
        """Let time pass."""
        while self._coming and self._coming[0][0] <= end:
            self.now, _, act = heapq.heappop(self._coming)
            act()
        self.now = end
