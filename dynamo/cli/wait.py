"""Files a cycle or scan, waits for its end and prints it."""

import time
from collections.abc import Callable

import typer

from dynamo.cli import console
from dynamo.cli.session import Session
from dynamo.client.client import Dynamo, Json

PAUSE = 0.5
Tell = Callable[[Dynamo, Json], None]
"""Prints the cycle or scan, ended or not."""


def carry_out(session: Session, path: str, body: Json, patience: float, tell: Tell) -> None:
    """File a cycle or scan, wait for its end and print it; exit 1 if it failed, 4 if it runs."""
    service = session.service("operator")
    result = _ended(service, service.post(path, body), patience)
    if session.json:
        console.show_json(result)
    else:
        tell(service, result)
    if result["state"] != "done":
        raise typer.Exit(4 if result["ended"] is None else 1)


def _ended(service: Dynamo, filed: Json, patience: float) -> Json:
    """Wait for the end or until the time is over; return the last state."""
    end = time.monotonic() + patience
    while filed["ended"] is None and time.monotonic() < end:
        time.sleep(PAUSE)
        filed = service.get(filed["links"]["self"])
    return filed
