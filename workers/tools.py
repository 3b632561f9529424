"""The tools of a worker process, made once."""

import functools
from dataclasses import replace

from dynamo.db.engine.unit_of_work import UnitOfWork, connect
from dynamo.queues.publisher import publisher
from dynamo.services.context import Tools, storages
from dynamo.settings import load
from workers.app import app


@functools.cache
def tools() -> Tools:
    """Return what the services of this process work with."""
    settings = load()
    engine = connect(settings.database_url, settings.database.pool)
    return Tools(UnitOfWork(engine, publisher(app)), settings, storages(settings))


@functools.cache
def quick_tools() -> Tools:
    """Return the same with storages that are not waited for long."""
    use = tools()
    return replace(use, storages=storages(use.settings, use.settings.site.probe_seconds))
