"""The context of a worker process, made once."""

import functools
from dataclasses import replace

from dynamo.db.engine.unit_of_work import UnitOfWork, connect
from dynamo.queues.publisher import publisher
from dynamo.services.context import Context, storages
from dynamo.settings import load
from workers.app import app


@functools.cache
def context() -> Context:
    """Return what the services of this process work with."""
    settings = load()
    engine = connect(settings.database_url, settings.database.pool)
    return Context(UnitOfWork(engine, publisher(app)), settings, storages(settings))


@functools.cache
def quick_context() -> Context:
    """Return the same with storages that are not waited for long."""
    ctx = context()
    return replace(ctx, storages=storages(ctx.settings, ctx.settings.site.probe_seconds))
