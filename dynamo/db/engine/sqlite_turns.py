"""A queue of writers: SQLite has one writer, and lets the others poll.

A writer that writes again at once would win against all that sleep between two polls, so that a
stream of injections would keep a closure waiting for ever. Here writers queue.
"""

import fcntl
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PATIENCE = 30.0
"""Limit of seconds that a writer waits for its turn."""
_FIRST_LOOK, _LOOKS = 0.0001, 0.002
"""Seconds between two polls of another process's lock, at first and later."""


class NoTurn(Exception):
    """The turn did not come in time: another process holds the database."""


class Turns:
    """The queue of one inventory.

    The threads of a process wait in order of arrival. The first one takes the door lock, and only
    its holder may take the turn lock. So a process that writes continuously finds the door taken by
    a waiting process, and queues behind it.
    """

    def __init__(self, database: Path | None) -> None:
        self._guard = threading.Lock()
        self._waiting: deque[threading.Event] = deque()
        self._taken = False
        self._locks = [] if database is None else [_Lock(database, n) for n in ("door", "turn")]

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for the turn, and pass it on at the end. Raises NoTurn."""
        end = time.monotonic() + PATIENCE
        self._come(end)
        try:
            with self._alone(end):
                yield
        finally:
            self._go()

    def _come(self, end: float) -> None:
        called = threading.Event()
        with self._guard:
            if not self._taken:
                self._taken = True
                return
            self._waiting.append(called)
        if called.wait(end - time.monotonic()):
            return
        with self._guard:
            if not called.is_set():
                self._waiting.remove(called)
                raise NoTurn
        # called at the last moment

    def _go(self) -> None:
        with self._guard:
            if self._waiting:
                self._waiting.popleft().set()
            else:
                self._taken = False

    @contextmanager
    def _alone(self, end: float) -> Iterator[None]:
        """Wait for the other processes."""
        if not self._locks:
            yield
            return
        door, turn = self._locks
        with door.held(end):
            turn.take(end)
        try:
            yield
        finally:
            turn.give()


class _Lock:
    """A lock between processes, a file beside the database; it ends with its holder.

    The database file itself cannot be used: closing another handle of it would release SQLite's
    locks.
    """

    def __init__(self, database: Path, name: str) -> None:
        self._path = database.with_name(f"{database.name}-{name}")
        self._file = -1

    @contextmanager
    def held(self, end: float) -> Iterator[None]:
        """Hold the lock during a block."""
        self.take(end)
        try:
            yield
        finally:
            self.give()

    def take(self, end: float) -> None:
        """Take the lock. Raises NoTurn."""
        if self._file < 0:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o660)
            weakref.finalize(self, os.close, self._file)
        pause = _FIRST_LOOK
        while True:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > end:
                    raise NoTurn from None
                time.sleep(pause)
                pause = min(pause * 1.5, _LOOKS)
            else:
                return

    def give(self) -> None:
        """Release the lock."""
        fcntl.flock(self._file, fcntl.LOCK_UN)
