"""One XRootD server: its calls, each with a deadline.

All calls and streams of a process to one server share one connection. The first call loads the
library, so that processes without XRootD do not pay for it.
"""

import functools
import importlib
import math
import posixpath
import re
import threading
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dynamo.reasons import Reason
from dynamo.storage.protocol import Stat, StorageError, moment
from dynamo.storage.timeouts import Timeouts
from dynamo.storage.xrootd.errors import EXISTS, NOT_FOUND, failure, number

_CHECKSUM, _SPACE = 3, 5
_WITH_STAT = 1
_MAKE_PATH = 1
_IS_FOLDER, _IS_OTHER = 2, 4
_PARTIAL = 3
_ADLER32 = re.compile(r"adler32 ([0-9a-fA-F]{1,8})", re.ASCII)
_CHECKSUMS_AT_ONCE = 2
"""Parallel checksums: beyond its own limit a server makes callers wait longer than needed."""

_SAME_FOR_READING = {
    Reason.SOURCE_MISSING,
    Reason.PERMISSION_DENIED,
    Reason.SERVICE_BUSY,
    Reason.QUEUE_TIMEOUT,
}
"""Reasons without a checksum that do not mean the server computes none."""


def seconds(deadline: float) -> int:
    """Return a deadline as the library takes it; 0 would mean its own default."""
    return max(1, math.ceil(deadline))


@dataclass(frozen=True, slots=True)
class Found:
    """An entry of a folder; `stat` is None for anything but a file."""

    name: str
    is_folder: bool
    stat: Stat | None
    modified: datetime


@functools.cache
def server(address: str, limits: Timeouts) -> "Server":
    """Return the server at `root://host:port`; the same one for the same address."""
    return Server(address, limits)


class Server:
    """The operations of an XRootD server by path; every failure is a StorageError."""

    def __init__(self, address: str, limits: Timeouts) -> None:
        """Take the address; the first call connects."""
        self.address = address
        self.limits = limits
        self._checksums = threading.Semaphore(_CHECKSUMS_AT_ONCE)

    @functools.cached_property
    def _calls(self) -> Any:
        return self.library.FileSystem(f"{self.address}//")

    @functools.cached_property
    def library(self) -> Any:
        """Return the library, with matching deadlines; environment variables take precedence."""
        client = importlib.import_module("XRootD.client")
        for name, value in {
            "TimeoutResolution": 1,
            "StreamTimeout": seconds(min(60, self.limits.silence)),
            "ConnectionWindow": seconds(min(30, self.limits.answer)),
            "ConnectionRetry": 1,
            # calls to an unreachable server fail at once for this time, so that a batch does not
            # wait once per file
            "StreamErrorWindow": seconds(self.limits.answer / 4),
            "RequestTimeout": seconds(self.limits.answer),
        }.items():
            client.EnvPutInt(name, value)
        return client

    def url(self, path: str) -> str:
        """Return the address of an absolute path."""
        return f"{self.address}/{path}"

    def stat(self, path: str) -> Stat | None:
        """Return size and modification time; None if the server knows no such name."""
        status, info = self._calls.stat(path, timeout=self._answer)
        if not status.ok:
            if number(status) == NOT_FOUND:
                return None
            raise failure(status, path, Reason.DESTINATION_ERROR)
        if info.flags & (_IS_FOLDER | _IS_OTHER):
            raise StorageError(Reason.DESTINATION_ERROR, f"{path} is not a file")
        return Stat(int(info.size), moment(int(info.modtime)))

    def is_folder(self, path: str) -> bool:
        """Return whether a folder of that name exists."""
        status, info = self._calls.stat(path, timeout=self._answer)
        if not status.ok and number(status) != NOT_FOUND:
            raise failure(status, path, Reason.DESTINATION_ERROR)
        return bool(status.ok and info.flags & _IS_FOLDER)

    def adler32(self, path: str) -> str | None:
        """Return the checksum of a file; None if the server computes none.

        A server that misses the deadline goes on, and answers the next call from its result.
        """
        deadline = seconds(self.limits.silence)
        with self._checksums:
            status, answer = self._calls.query(
                _CHECKSUM, f"{path}?cks.type=adler32", timeout=deadline
            )
        if not status.ok:
            refused = failure(status, path, Reason.DESTINATION_ERROR)
            if refused.unknown or refused.reason in _SAME_FOR_READING:
                raise refused
            return None
        match = _ADLER32.match(answer.decode("ascii", "replace"))
        return match and match.group(1).lower().zfill(8)

    def move(self, path: str, to: str) -> None:
        """Rename a file; an existing file is replaced."""
        status, _ = self._calls.mv(path, to, timeout=self._answer)
        if (
            number(status) == EXISTS
        ):  # not every server replaces; the existing file is known to be wrong
            self.remove(to)
            status, _ = self._calls.mv(path, to, timeout=self._answer)
        elif number(status) == NOT_FOUND and self.stat(path) is not None:
            self.make_folder(posixpath.dirname(to))
            status, _ = self._calls.mv(path, to, timeout=self._answer)
        if not status.ok:
            raise failure(status, to, Reason.DESTINATION_ERROR)

    def remove(self, path: str) -> bool:
        """Delete a file; return False if it was absent."""
        status, _ = self._calls.rm(path, timeout=self._answer)
        if not status.ok and number(status) != NOT_FOUND:
            raise failure(status, path, Reason.DESTINATION_ERROR)
        return bool(status.ok)

    def remove_folder(self, path: str) -> bool:
        """Delete a folder if it is empty; return whether it was."""
        return bool(self._calls.rmdir(path, timeout=self._answer)[0].ok)

    def make_folder(self, path: str) -> None:
        """Make a folder and its parents."""
        status, _ = self._calls.mkdir(path, _MAKE_PATH, 0o755, timeout=self._answer)
        if not status.ok and number(status) != EXISTS:
            raise failure(status, path, Reason.DESTINATION_ERROR)

    def entries(self, path: str) -> list[Found]:
        """Return the entries of a folder. Raises StorageError unless the list is complete."""
        deadline = seconds(self.limits.silence)
        status, listed = self._calls.dirlist(path, _WITH_STAT, timeout=deadline)
        if not status.ok:
            raise failure(status, path, Reason.DESTINATION_ERROR)
        if status.code == _PARTIAL:
            raise StorageError(Reason.DESTINATION_ERROR, f"{path}: some servers did not answer")
        return [
            found
            for entry in (listed or ())
            if (found := self._found(path, entry.name, entry.statinfo)) is not None
        ]

    def free(self, path: str) -> int | None:
        """Return the bytes that can be written; None if the server cannot tell."""
        status, answer = self._calls.query(_SPACE, path, timeout=self._answer)
        if not status.ok:
            refused = failure(status, path, Reason.DESTINATION_ERROR)
            if refused.unknown:
                raise refused
            return None
        match = re.search(r"oss\.free=([0-9]+)", answer.decode("ascii", "replace"))
        return int(match.group(1)) if match else None

    def _found(self, path: str, name: str, info: Any) -> Found | None:
        if "/" in name or name in {"", ".", ".."}:
            raise StorageError(Reason.DESTINATION_ERROR, f"{path} lists an impossible name")
        if info is None:  # deleted since the folder was read, or omitted
            status, info = self._calls.stat(f"{path}/{name}", timeout=self._answer)
            if number(status) == NOT_FOUND:
                return None
            if not status.ok:
                raise failure(status, f"{path}/{name}", Reason.DESTINATION_ERROR)
        modified = moment(int(info.modtime))
        is_file = not info.flags & (_IS_FOLDER | _IS_OTHER)
        stat = Stat(int(info.size), modified) if is_file else None
        return Found(name, bool(info.flags & _IS_FOLDER), stat, modified)

    @property
    def _answer(self) -> int:
        return seconds(self.limits.answer)
