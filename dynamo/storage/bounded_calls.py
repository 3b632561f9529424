"""Calls to storages for whoever cannot wait long.

A silent server, or a file system that hangs, holds the thread that asks it. So another thread asks,
and the caller goes on without the answer.
"""

import threading
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import Future

from dynamo.storage.protocol import StorageError


class Haste:
    """Waits for calls for so many seconds at most; who lets them pass is not asked meanwhile."""

    def __init__(self, patience: float) -> None:
        """Take the seconds that a caller has."""
        self._patience = patience
        self._late: defaultdict[str, set[Future[None]]] = defaultdict(set)
        """What has not come back, by place: silence costs threads once, not with each call."""

    def call(self, place: str, function: Callable[[], None]) -> None:
        """Call, and wait a little for the end. Raises what it raises; StorageError when late."""
        late = self._late[place]
        if late:
            raise StorageError("queue-timeout", f"{place} has not answered yet", unknown=True)
        future: Future[None] = Future()
        # a thread of its own, for which nobody waits when the process ends
        threading.Thread(target=_run, args=(future, function), daemon=True).start()
        try:
            future.result(self._patience)
        except TimeoutError:
            late.add(future)
            future.add_done_callback(late.discard)
            raise StorageError(
                "queue-timeout", f"{place} does not answer in time", unknown=True
            ) from None


def _run(future: Future[None], function: Callable[[], None]) -> None:
    try:
        function()
    except BaseException as failed:  # noqa: BLE001 - raised again where it is waited for
        future.set_exception(failed)
    else:
        future.set_result(None)
