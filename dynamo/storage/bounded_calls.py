"""Calls to storages with a short deadline.

A silent server, or a file system that hangs, blocks the thread that calls it. So another thread
calls, and the caller goes on without the answer.
"""

import threading
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import Future

from dynamo.reasons import Reason
from dynamo.storage.protocol import StorageError


class Haste:
    """Limits the time of calls; a place with an unanswered call is not called again."""

    def __init__(self, patience: float) -> None:
        """Take the deadline in seconds."""
        self._patience = patience
        self._late: defaultdict[str, set[Future[None]]] = defaultdict(set)
        """Unanswered calls, by place: a silent place costs one thread, not one per call."""

    def call(self, place: str, function: Callable[[], None]) -> None:
        """Call the function with the deadline. Raises its errors, or StorageError when late."""
        late = self._late[place]
        if late:
            raise StorageError(Reason.QUEUE_TIMEOUT, f"{place} has not answered yet", unknown=True)
        future: Future[None] = Future()
        # a daemon thread: the end of the process does not wait for it
        threading.Thread(target=_run, args=(future, function), daemon=True).start()
        try:
            future.result(self._patience)
        except TimeoutError:
            late.add(future)
            future.add_done_callback(late.discard)
            raise StorageError(
                Reason.QUEUE_TIMEOUT, f"{place} does not answer in time", unknown=True
            ) from None


def _run(future: Future[None], function: Callable[[], None]) -> None:
    try:
        function()
    except BaseException as error:  # noqa: BLE001 - raised again by the future's reader
        future.set_exception(error)
    else:
        future.set_result(None)
