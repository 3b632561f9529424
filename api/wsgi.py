"""The application for WSGI servers: `api.wsgi:app`."""

from flask import Flask

import celeryconfig
from api.app import create_app
from dynamo import logs
from dynamo.db.engine.connection import connect
from dynamo.db.engine.unit_of_work import UnitOfWork
from dynamo.queues.depths import Depths
from dynamo.queues.publisher import publisher, quick_app
from dynamo.services.context import Context, storages
from dynamo.settings import load

STORAGE_SECONDS = 5
"""Seconds for which a background thread waits for a storage."""

PATIENCE = 0.5
"""Seconds for which a response waits for a storage: a second booking makes a missing folder."""


def make() -> Flask:
    """Return the application of this process, made from its settings."""
    logs.configure()
    settings = load()
    queues = quick_app(celeryconfig)
    engine = connect(settings.database_url, settings.database.pool)
    begin = UnitOfWork(engine, publish=publisher(queues))
    hasty = storages(settings, STORAGE_SECONDS, PATIENCE)
    return create_app(Context(begin, settings, hasty), Depths(queues))


app = make()
