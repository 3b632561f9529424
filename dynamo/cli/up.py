"""`dynamo up`: runs a whole system in one terminal."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from dynamo.cli.run import prepare
from dynamo.running import broker, programs
from dynamo.running.data_directory import Layout
from dynamo.running.ports import number, reserve
from dynamo.running.run_file import alone
from dynamo.running.signals import Signals, listening
from dynamo.running.supervisor import Supervisor
from dynamo.running.system import Addresses, System
from dynamo.settings import Settings, load
from dynamo.tasks import POOLS

Data = Annotated[
    Path,
    typer.Option("--data", envvar="DYNAMO_DATA", help="Directory of all files of the system."),
]
Port = Annotated[
    int, typer.Option("--port", min=0, max=65535, help="Port of the API; 0 = a free one.")
]


def up(data: Data = Path("dynamo-data"), port: Port = 8080) -> None:
    """Start the whole system and run it until Ctrl-C or SIGTERM.

    Prints `ready http://127.0.0.1:PORT` once the API answers. With DYNAMO_DATABASE_URL or
    DYNAMO_BROKER_URL it uses that database or broker instead of its own.
    """
    settings = load(data.absolute())
    layout = Layout(settings.data)
    layout.make()
    with alone(layout), listening() as signals, reserve(port) as api, reserve(0) as flower:
        run(settings, layout, _addresses(settings, layout, number(api), number(flower)), signals)


def run(settings: Settings, layout: Layout, at: Addresses, signals: Signals) -> None:
    """Start the system, keep it running, and stop it in any case."""
    env = programs.environment(os.environ, layout.data, at.database_url, at.broker_url)
    supervisor = Supervisor(layout.logs, env, say)
    system = System(layout, at, supervisor, say)
    pools = list(programs.pools(POOLS, settings.pool.model_dump(), f"dynamo-{at.port}"))
    try:
        if not settings.broker.url:
            system.start_broker(signals)
        prepare(settings, at.database_url)
        _announce(layout, at)
        system.start(pools)
        system.await_ready(signals, pools)
        system.keep(signals)
        say("stopping")
    finally:
        system.stop()
    say("stopped")


def say(line: str) -> None:
    """Print a line; a closed terminal must not end the system."""
    try:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
    except OSError:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123 - stays open for later lines


def _addresses(settings: Settings, layout: Layout, port: int, flower_port: int) -> Addresses:
    """Return all addresses: from the settings, else of the parts that this system starts."""
    broker_url = settings.broker.url or broker.url(layout.socket())
    return Addresses(settings.database_url, broker_url, port, flower_port)


def _announce(layout: Layout, at: Addresses) -> None:
    for title, address in {
        "data": layout.data,
        "inventory": at.database,
        "broker": at.broker,
        "api": f"{at.api}/v1/",
        "flower": f"{at.flower} (user dynamo, password in {layout.flower_password})",
        "logs": layout.logs,
    }.items():
        say(f"{title:<10} {address}")
