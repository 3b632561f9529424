"""The Celery application of all worker pools: each task is one call of a service."""

import os
from pathlib import Path
from typing import Any

from celery import Celery, Task
from celery.signals import setup_logging

import celeryconfig
from dynamo import points
from dynamo.logs import configure, logger, tracing


class TracedTask(Task[Any, Any]):
    """A task that works under the id of the HTTP call that caused it."""

    abstract = True

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
    include=["workers.transfer", "workers.deletion", "workers.policy", "workers.consistency"],
)
app.config_from_object(celeryconfig)

if folder := os.environ.get("CRASH_TEST_FOLDER"):
    # a fault test looks whether others finish what this pool leaves; no setting leads here
    logger("workers").warning("this pool dies where the files of a folder say", folder=folder)
    points.watch(points.death(Path(folder)))
