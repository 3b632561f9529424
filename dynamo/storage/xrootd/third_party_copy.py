"""Lets one XRootD server fetch a file from another, so that its bytes bypass the worker."""

import time
from collections.abc import Callable

from dynamo.reasons import Reason
from dynamo.storage.protocol import StorageError
from dynamo.storage.xrootd.errors import failure
from dynamo.storage.xrootd.server import Server, seconds


def fetch(
    server: Server, source: str, path: str, size: int | None, alive: Callable[[], None]
) -> bool:
    """Let a server fetch a file; return False if it is small or the servers do not cooperate."""
    limits = server.limits
    if not source.startswith(("root://", "roots://")) or (size or 0) < limits.third_party:
        return False
    watch = _Watch(alive, limits.silence)
    process = server.library.CopyProcess()
    process.add_job(
        source,
        server.url(path),
        thirdparty="only",
        mkdir=True,
        inittimeout=seconds(limits.answer),
        tpctimeout=seconds(limits.whole_file(size)),
    )
    status = process.prepare()
    if status.ok:
        status, _ = process.run(watch)
    watch.check()
    if status.ok:
        return True
    error = failure(status, path, Reason.TRANSFER_ERROR)
    if error.unknown or error.reason == Reason.STORAGE_FULL:
        raise error
    server.remove(path)  # streaming starts anew, and reports the fault if it fails too
    return False


class _Watch:
    """Stops a copy whose lease is lost or that makes no progress; the library calls it."""

    def __init__(self, alive: Callable[[], None], silence: float) -> None:
        self._alive = alive
        self._silence = silence
        self._done = -1
        self._moved = time.monotonic()
        self._stopped: BaseException | None = None

    def begin(self, *_job: object) -> None:
        """Do nothing."""

    def end(self, *_job: object) -> None:
        """Do nothing: `run` returns the result."""

    def update(self, _job: int, done: int, _total: int) -> None:
        """Record progress."""
        if done > self._done:
            self._done, self._moved = done, time.monotonic()

    def should_cancel(self, _job: int) -> bool:
        """Return whether to stop; an error must not pass through the library's frames."""
        try:
            self._alive()
            self._check_progress()
        except BaseException as error:  # noqa: BLE001 - raised again in check()
            self._stopped = error
        return self._stopped is not None

    def _check_progress(self) -> None:
        if time.monotonic() - self._moved > self._silence:
            raise StorageError(
                Reason.QUEUE_TIMEOUT, "the servers have copied nothing for long", unknown=True
            )

    def check(self) -> None:
        """Raise the error that stopped the copy."""
        if self._stopped is not None:
            raise self._stopped
