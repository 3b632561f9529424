"""`dynamo run`: runs one part of a system in the foreground, for systemd and containers."""

import os
import platform
from collections.abc import Callable, Mapping
from typing import Annotated

import typer
from sqlalchemy import Engine, make_url
from sqlalchemy.exc import OperationalError

from dynamo import tokens
from dynamo.db import schema
from dynamo.db.engine.connection import connect
from dynamo.db.engine.unit_of_work import UnitOfWork
from dynamo.errors import Unavailable
from dynamo.running import programs
from dynamo.running.data_directory import Layout
from dynamo.running.ports import LOOPBACK
from dynamo.running.programs import Program
from dynamo.running.system import password
from dynamo.settings import Settings, load
from dynamo.tasks import POOLS

Address = Annotated[str, typer.Option("--address", help="Listening address of api and flower.")]
Port = Annotated[
    int | None, typer.Option("--port", min=1, max=65535, help="Default: api 8080, flower 5555.")
]
Part = Annotated[str, typer.Argument(help=f"prepare, api, beat, flower, {', '.join(POOLS)}")]


def run(part: Part, address: Address = LOOPBACK, port: Port = None) -> None:
    """Run one part of a system; `prepare` upgrades the inventory and ends."""
    settings = load()
    layout = Layout(settings.data.absolute())
    layout.make()
    if part == "prepare":
        prepare(settings, settings.database_url)
        return
    make = parts(settings, layout, address, port).get(part)
    if make is None:
        raise typer.BadParameter(f"{part!r} is not a part of a system", param_hint="PART")
    become(make(), {**os.environ, "DYNAMO_DATA": str(layout.data)})


def parts(
    settings: Settings, layout: Layout, address: str, port: int | None
) -> Mapping[str, Callable[[], Program]]:
    """Return the makers of all parts, by name."""
    pools = {
        pool.name: pool
        for pool in programs.pools(POOLS, settings.pool.model_dump(), platform.node())
    }
    return {
        "api": lambda: programs.api(port or 8080, address),
        "beat": lambda: programs.beat(layout.schedule),
        "flower": lambda: programs.flower(port or 5555, password(layout), address),
        **{name: lambda pool=pool: programs.pool(pool) for name, pool in pools.items()},  # type: ignore[misc]
    }


def become(program: Program, env: Mapping[str, str]) -> None:
    """Replace this process by the program, which then receives its signals."""
    os.execvpe(program.command[0], program.command, {**env, **program.env})  # noqa: S606 - no shell


def prepare(settings: Settings, database_url: str) -> None:
    """Upgrade the inventory and create the signing key of tokens."""
    tokens.ensure_key(settings.data)
    engine = connect(database_url)
    try:
        _fill(engine)
    except OperationalError as error:
        shown = make_url(database_url).render_as_string(hide_password=True)
        raise Unavailable(f"the database {shown} is unavailable: {error.orig}") from error
    finally:
        engine.dispose()


def _fill(engine: Engine) -> None:
    schema.upgrade(engine)
    with UnitOfWork(engine)() as work:
        schema.seed(work)
