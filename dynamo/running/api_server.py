"""The program that serves the REST API: `python -m dynamo.running.api_server PORT [ADDRESS]`."""

import importlib
import os
import sys
from collections.abc import Callable
from typing import Any

from granian import Granian
from granian.constants import Interfaces

from dynamo.running.ports import LOOPBACK
from dynamo.running.process import die_with_parent

TARGET = "api.wsgi:app"
THREADS = 8
"""Threads per process; a call waits for the database most of the time."""

PROCESSES = min(2, os.cpu_count() or 1)


def load(target: str) -> Callable[..., Any]:
    """Return the application, imported in a serving process that ends with its parent."""
    die_with_parent()
    module, _, name = target.partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return found


def main() -> None:
    """Serve until stopped."""
    port, address = [*sys.argv[1:], LOOPBACK][:2]
    Granian(
        TARGET,
        address=address,
        port=int(port),
        interface=Interfaces.WSGI,
        workers=PROCESSES,
        blocking_threads=THREADS,
        websockets=False,
        respawn_failed_workers=True,
        workers_kill_timeout=5,
    ).serve(target_loader=load)


if __name__ == "__main__":
    main()
