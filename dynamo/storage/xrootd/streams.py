"""Reading and writing a file of an XRootD server, some pieces ahead."""

import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from typing import Any

from dynamo.storage.checksum import CHUNK
from dynamo.storage.protocol import StorageError
from dynamo.storage.timeouts import Timeouts
from dynamo.storage.xrootd.errors import LockedError, failure, silent
from dynamo.storage.xrootd.server import Server, seconds

_NEW, _READ, _MAKE_PATH, _WRITE = 8, 16, 256, 32768
_MODE = 0o644
_LOCKED_SECONDS = 0.5
"""A server lets go of a file a moment after it has acknowledged that it was closed."""

_AHEAD = 3
"""Pieces under way at once: what is far away is waited for once, not once a piece."""


Answer = Future[tuple[Any, Any]]
"""Status and response of a call."""


@contextlib.contextmanager
def reading(server: Server, path: str) -> Iterator["Reader"]:
    """Open a file for reading."""
    with _opened(server, path, _READ, "source-error") as pieces:
        status, found = pieces.file.stat(timeout=seconds(server.limits.answer))
        if not status.ok:
            raise failure(status, path, "source-error")
        yield Reader(pieces, int(found.size))
        pieces.leave_at_once()


@contextlib.contextmanager
def writing(server: Server, path: str) -> Iterator["Writer"]:
    """Create a file, and the folders above it; where it exists already that is an error."""
    with _opened(server, path, _NEW | _MAKE_PATH | _WRITE, "destination-error") as pieces:
        writer = Writer(pieces)
        yield writer
        writer.finish()
        status, _ = pieces.file.close(timeout=seconds(server.limits.silence))
        if not status.ok:
            raise failure(status, path, "destination-error")


@contextlib.contextmanager
def _opened(server: Server, path: str, flags: int, otherwise: str) -> Iterator["_Pieces"]:
    pieces = _Pieces(_open(server, path, flags, otherwise), path, server.limits, otherwise)
    try:
        yield pieces
    finally:
        if pieces.file.is_open():
            pieces.leave()


def _open(server: Server, path: str, flags: int, otherwise: str) -> Any:
    end = time.monotonic() + _LOCKED_SECONDS
    while True:
        file = server.library.File()
        answer = seconds(server.limits.answer)
        status, _ = file.open(server.url(path), flags, _MODE, timeout=answer)
        if status.ok:
            return file
        failed = failure(status, path, otherwise)
        if not isinstance(failed, LockedError) or time.monotonic() > end:
            raise failed
        time.sleep(0.02)


@dataclass
class _Pieces:
    """An open file and the calls under way on it, the oldest first."""

    file: Any
    path: str
    limits: Timeouts
    otherwise: str
    under_way: deque[Answer] = field(default_factory=deque)

    def begin(self, call: Callable[..., Any], *arguments: Any) -> None:
        """Ask for one piece; `arguments` live until it is answered, as the library borrows them."""
        answer = Answer()

        def take(status: Any, response: Any, _hosts: Any, _kept: Any = arguments) -> None:
            answer.set_result((status, response))

        status = call(*arguments, timeout=seconds(self.limits.silence), callback=take)
        if not status.ok:
            raise failure(status, self.path, self.otherwise)
        self.under_way.append(answer)

    def end(self) -> Any:
        """Wait for the oldest piece."""
        try:
            status, response = self.under_way[0].result(self.limits.silence)
        except TimeoutError as error:
            raise silent(self.path, self.limits.silence, self.otherwise) from error
        self.under_way.popleft()
        if not status.ok:
            raise failure(status, self.path, self.otherwise)
        return response

    def leave_at_once(self) -> None:
        """Close the file and wait for nothing."""
        if not self.under_way:
            self.file.close(timeout=seconds(self.limits.answer), callback=_forget)

    def leave(self) -> None:
        """Close the file; how that goes has no meaning any more.

        The library refuses to close while pieces are under way, and the file would stay open at
        the server: who answers too late has it closed then.
        """
        late = wait(self.under_way, self.limits.answer).not_done
        if not late:
            self.file.close(timeout=seconds(self.limits.answer))
        for answer in late:
            answer.add_done_callback(self._close_late)

    def _close_late(self, _answer: Answer) -> None:
        if all(answer.done() for answer in self.under_way):
            self.file.close(timeout=seconds(self.limits.answer), callback=_forget)


def _forget(*_answer: object) -> None:
    """Take an answer that nobody waits for."""


class Reader:
    """The bytes of a file, from its beginning to the size it had when it was opened."""

    def __init__(self, pieces: _Pieces, size: int) -> None:
        """Take an open file."""
        self._pieces = pieces
        self._size = size
        self._asked = 0
        self._got = 0
        self._rest = memoryview(b"")

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill the buffer as far as bytes are at hand."""
        if not self._rest:
            self._rest = memoryview(self._next())
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

    def _next(self) -> bytes:
        while self._asked < self._size and len(self._pieces.under_way) < _AHEAD:
            length = min(CHUNK, self._size - self._asked)
            self._pieces.begin(self._pieces.file.read, self._asked, length)
            self._asked += length
        if not self._pieces.under_way:
            return b""
        piece = bytes(self._pieces.end() or b"")
        if len(piece) != min(CHUNK, self._size - self._got):
            raise StorageError("source-error", f"{self._pieces.path}: the file has become shorter")
        self._got += len(piece)
        return piece


class Writer:
    """A new file; bytes are on their way when `write` returns and there when `finish` does."""

    def __init__(self, pieces: _Pieces) -> None:
        """Take a file that was just created."""
        self._pieces = pieces
        self._written = 0

    def write(self, data: memoryview, /) -> int:
        """Send some bytes; what failed with those before is told here."""
        if len(self._pieces.under_way) >= _AHEAD:
            self._pieces.end()
        kept = bytes(data)  # the caller uses its buffer again
        self._pieces.begin(self._pieces.file.write, kept, self._written, len(kept))
        self._written += len(kept)
        return len(kept)

    def finish(self) -> None:
        """Wait until all bytes are there."""
        while self._pieces.under_way:
            self._pieces.end()
