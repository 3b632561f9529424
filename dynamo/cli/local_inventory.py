"""The inventory of a data directory, for commands that work without the service."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import make_url

from dynamo.client.client import Problem
from dynamo.db.engine.unit_of_work import UnitOfWork, connect
from dynamo.reasons import Reason
from dynamo.running import run_file
from dynamo.services.context import Context, storages
from dynamo.settings import Settings, load


@contextmanager
def local_context(data: Path) -> Iterator[Context]:
    """Open the inventory. Raises Problem where there is none, or where it is another one's."""
    settings = load(data)
    _same_as_running(settings, data)
    engine = connect(settings.database_url)
    try:
        yield Context(UnitOfWork(engine), settings, storages(settings))
    finally:
        engine.dispose()


def _same_as_running(settings: Settings, data: Path) -> None:
    """Refuse to look into the wrong database: SQLite would make an empty one and find all well."""
    url = make_url(settings.database_url)
    running = run_file.read(data)
    if running is not None and running.database != url.render_as_string(hide_password=True):
        detail = f"the system runs on {running.database}; name it in DYNAMO_DATABASE_URL"
        raise Problem.final(Reason.INVALID, detail)
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").is_file():
        raise Problem.final(Reason.NOT_FOUND, f"{data} holds no inventory; `dynamo up` makes one")
