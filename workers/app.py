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
"""Where a message of Celery's says what is to be sent after its task."""


class HintRequest(Request):
    """A message for a task, refused where it is no hint: nothing follows these.

    Celery would stumble over a bad one in the thread of the task only, where nobody answers for the
    message: it would hold its place among those under way for good.
    """

    def __init__(self, message: Message, **more: Any) -> None:
        """Take the message in."""
        super().__init__(message, **more)
        _, _, embedded = self._payload  # type: ignore[attr-defined] # the stubs do not know it
        told = {**self.request_dict, **(embedded or {})}
        if any(map(told.get, FOLLOWS)) or not isinstance(self.name, str):
            raise TypeError("a message that is no hint")


class TracedTask(Task[Any, Any]):
    """A task that works under the id of the HTTP call that caused it."""

    abstract = True
    Request = "workers.app:HintRequest"

    def __call__(self, *args: object, **kwargs: object) -> object:
        """Run under the id that came with the message, or the task's own."""
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
    # a fault test looks whether others finish what this pool leaves; no setting leads here
    logger("workers").warning("this pool dies where the files of a folder say", folder=folder)
    points.watch(points.death(Path(folder)))
