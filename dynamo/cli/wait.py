"""What is filed and runs for a while: its end is waited for and told of."""

import time
from collections.abc import Callable

import typer

from dynamo.cli import console
from dynamo.cli.session import Session
from dynamo.client.client import Dynamo, Json

PAUSE = 0.5
Tell = Callable[[Dynamo, Json], None]
"""Prints what has ended, or goes on."""


def carry_out(session: Session, path: str, body: Json, patience: float, tell: Tell) -> None:
    """File something, wait for its end and tell of it; exits with 1 if it failed, 4 if it runs."""
    service = session.service("operator")
    found = _ended(service, service.post(path, body), patience)
    if session.json:
        console.show_json(found)
    else:
        tell(service, found)
    if found["state"] != "done":
        raise typer.Exit(4 if found["ended"] is None else 1)


def _ended(service: Dynamo, filed: Json, patience: float) -> Json:
    """Wait for the end, as long as there is patience; return what was filed as it is then."""
    end = time.monotonic() + patience
    while filed["ended"] is None and time.monotonic() < end:
        time.sleep(PAUSE)
        filed = service.get(filed["links"]["self"])
    return filed
