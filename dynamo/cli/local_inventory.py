"""The inventory of a data directory, for commands without the service."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import make_url

from dynamo.client.client import Problem
from dynamo.db.engine.connection import connect
from dynamo.db.engine.unit_of_work import UnitOfWork
from dynamo.reasons import Reason
from dynamo.running import run_file
from dynamo.services.context import Context, storages
from dynamo.settings import Settings, load


@contextmanager
def local_context(data: Path) -> Iterator[Context]:
    """Open the inventory. Raises Problem if it is absent or not that of the running system."""
    settings = load(data)
    _same_as_running(settings, data)
    engine = connect(settings.database_url)
    try:
        yield Context(UnitOfWork(engine), settings, storages(settings))
    finally:
        engine.dispose()


def _same_as_running(settings: Settings, data: Path) -> None:
    """Refuse another database: SQLite would create an empty one and find no problem."""
    url = make_url(settings.database_url)
    running = run_file.read(data)
    if running is not None and running.database != url.render_as_string(hide_password=True):
        detail = f"the system runs on {running.database}; name it in DYNAMO_DATABASE_URL"
        raise Problem.final(Reason.INVALID, detail)
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").is_file():
        raise Problem.final(
            Reason.NOT_FOUND, f"{data} contains no inventory; `dynamo up` creates one"
        )
