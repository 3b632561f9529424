"""The Celery application of all worker pools: each task is one call of a service."""

import os
from pathlib import Path
from typing import Any

from celery import Celery, Task
from celery.signals import setup_logging
from celery.worker.request import Request
from kombu.message import Message

import celeryconfig
from dynamo import points
from dynamo.logs import configure, logger, tracing

FOLLOWS = ("callbacks", "errbacks", "chain", "chord")
"""Fields of Celery's messages for follow-up tasks."""


class HintRequest(Request):
    """A message for a task; anything but a hint is refused, as hints have no follow-ups.

    Celery would fail on a bad message only in the thread of the task, where nothing acknowledges
    it. It would occupy a place of the pool for ever.
    """

    def __init__(self, message: Message, **more: Any) -> None:
        """Check the message."""
        super().__init__(message, **more)
        _, _, embedded = self._payload  # type: ignore[attr-defined] # missing in the stubs
        fields = {**self.request_dict, **(embedded or {})}
        if any(map(fields.get, FOLLOWS)) or not isinstance(self.name, str):
            raise TypeError("the message is not a hint")


class TracedTask(Task[Any, Any]):
    """A task that runs under the id of the HTTP call that caused it."""

    abstract = True
    Request = "workers.app:HintRequest"

    def __call__(self, *args: object, **kwargs: object) -> object:
        """Run under the id in the message, or the task's own id."""
        headers = self.request.headers or {}
        with tracing(str(headers.get("request_id") or self.request.id or "")):
            return super().__call__(*args, **kwargs)


@setup_logging.connect
def _log_as_dynamo_does(**_: object) -> None:
    configure()


app: Celery[Task[Any, Any]] = Celery(
    "dynamo",
    task_cls=TracedTask,
    include=["workers.tasks"],
)
app.config_from_object(celeryconfig)

if folder := os.environ.get("CRASH_TEST_FOLDER"):
    # for fault tests only; no setting leads here
    logger("workers").warning(
        "this pool dies at the points that files in a folder name", folder=folder
    )
    points.watch(points.death(Path(folder)))
