"""Reads and writes files of an XRootD server, several pieces ahead."""

import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from typing import Any

from dynamo.reasons import Reason
from dynamo.storage.checksum import CHUNK
from dynamo.storage.protocol import StorageError
from dynamo.storage.timeouts import Timeouts
from dynamo.storage.xrootd.errors import LockedError, Status, failure, silent
from dynamo.storage.xrootd.server import Server, seconds

_NEW, _READ, _MAKE_PATH, _WRITE = 8, 16, 256, 32768
_MODE = 0o644
_LOCKED_SECONDS = 0.5
"""Seconds to retry: a server releases a file a moment after it acknowledged its closing."""

_AHEAD = 3
"""Pieces in flight, so that a distant server costs one latency, not one per piece."""


Answer = Future[tuple[Status, bytes | None]]
"""Status and response of a call."""


@contextlib.contextmanager
def reading(server: Server, path: str) -> Iterator["Reader"]:
    """Open a file for reading."""
    with _opened(server, path, _READ, Reason.SOURCE_ERROR) as pieces:
        status, info = pieces.file.stat(timeout=seconds(server.limits.answer))
        if not status.ok:
            raise failure(status, path, Reason.SOURCE_ERROR)
        yield Reader(pieces, int(info.size))
        pieces.leave_at_once()


@contextlib.contextmanager
def writing(server: Server, path: str) -> Iterator["Writer"]:
    """Create a file and its folders; an existing file is an error."""
    with _opened(server, path, _NEW | _MAKE_PATH | _WRITE, Reason.DESTINATION_ERROR) as pieces:
        writer = Writer(pieces)
        yield writer
        writer.finish()
        status, _ = pieces.file.close(timeout=seconds(server.limits.silence))
        if not status.ok:
            raise failure(status, path, Reason.DESTINATION_ERROR)


@contextlib.contextmanager
def _opened(server: Server, path: str, flags: int, otherwise: Reason) -> Iterator["_Pieces"]:
    pieces = _Pieces(_open(server, path, flags, otherwise), path, server.limits, otherwise)
    try:
        yield pieces
    finally:
        if pieces.file.is_open():
            pieces.leave()


def _open(server: Server, path: str, flags: int, otherwise: Reason) -> Any:
    end = time.monotonic() + _LOCKED_SECONDS
    while True:
        file = server.library.File()
        answer = seconds(server.limits.answer)
        status, _ = file.open(server.url(path), flags, _MODE, timeout=answer)
        if status.ok:
            return file
        error = failure(status, path, otherwise)
        if not isinstance(error, LockedError) or time.monotonic() > end:
            raise error
        time.sleep(0.02)


@dataclass
class _Pieces:
    """An open file and its calls in flight, the oldest first."""

    file: Any
    path: str
    limits: Timeouts
    otherwise: Reason
    under_way: deque[Answer] = field(default_factory=deque)

    def begin(self, call: Callable[..., Status], *arguments: object) -> None:
        """Request one piece; `arguments` live until the answer, as the library borrows them."""
        answer = Answer()

        def take(
            status: Status, response: bytes | None, _hosts: object, _kept: object = arguments
        ) -> None:
            answer.set_result((status, response))

        status = call(*arguments, timeout=seconds(self.limits.silence), callback=take)
        if not status.ok:
            raise failure(status, self.path, self.otherwise)
        self.under_way.append(answer)

    def end(self) -> bytes | None:
        """Wait for the oldest piece and return its response."""
        try:
            status, response = self.under_way[0].result(self.limits.silence)
        except TimeoutError as error:
            raise silent(self.path, self.limits.silence, self.otherwise) from error
        self.under_way.popleft()
        if not status.ok:
            raise failure(status, self.path, self.otherwise)
        return response

    def leave_at_once(self) -> None:
        """Close the file without waiting."""
        if not self.under_way:
            self.file.close(timeout=seconds(self.limits.answer), callback=_forget)

    def leave(self) -> None:
        """Close the file; the result no longer matters.

        The library refuses to close while pieces are in flight, and the file would stay open at the
        server. So late answers close it.
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
    """Ignore an answer."""


class Reader:
    """The bytes of a file, up to its size when it was opened."""

    def __init__(self, pieces: _Pieces, size: int) -> None:
        """Take an open file."""
        self._pieces = pieces
        self._size = size
        self._asked = 0
        self._got = 0
        self._rest = memoryview(b"")

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill the buffer with available bytes."""
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
            raise StorageError(
                Reason.SOURCE_ERROR, f"{self._pieces.path}: the file has become shorter"
            )
        self._got += len(piece)
        return piece


class Writer:
    """A new file; `write` sends bytes, and after `finish` they are at the server."""

    def __init__(self, pieces: _Pieces) -> None:
        """Take a newly created file."""
        self._pieces = pieces
        self._written = 0

    def write(self, data: memoryview, /) -> int:
        """Send bytes; raise the errors of earlier pieces."""
        if len(self._pieces.under_way) >= _AHEAD:
            self._pieces.end()
        kept = bytes(data)  # the caller reuses its buffer
        self._pieces.begin(self._pieces.file.write, kept, self._written, len(kept))
        self._written += len(kept)
        return len(kept)

    def finish(self) -> None:
        """Wait until all bytes are at the server."""
        while self._pieces.under_way:
            self._pieces.end()
