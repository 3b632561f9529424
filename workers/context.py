"""The context of a worker process, made once."""

import functools

from dynamo.db.engine.connection import connect
from dynamo.db.engine.unit_of_work import UnitOfWork
from dynamo.queues.publisher import publisher
from dynamo.services.context import Context, storages
from dynamo.settings import load
from dynamo.task_runner import TaskRunner
from workers.app import app


@functools.cache
def task_runner() -> TaskRunner:
    """Return the runner of this process's tasks."""
    settings = load()
    engine = connect(settings.database_url, settings.database.pool)
    begin = UnitOfWork(engine, publisher(app))
    return TaskRunner.of(Context(begin, settings, storages(settings)))
