"""Memory of the API over a million registered files; it takes minutes and runs only by name."""

from collections.abc import Iterator
from pathlib import Path

from tests.bench import files
from tests.bench.figures import Figure
from tests.bench.machine import resident
from tests.bench.scale import Scale
from tests.bench.stack import production_mariadb, stack

_BULK = 1000
_CLIENTS = 4
_STEPS = 20


def run(folder: Path, scale: Scale) -> Iterator[Figure]:
    """Register in steps and look at the memory after each; the first two warm up."""
    with (
        production_mariadb(folder / "mariadb") as server,
        stack(folder / "stack", server) as house,
    ):
        sizes = []
        for step in range(_STEPS):
            calls = scale.million // _STEPS // _BULK or 1
            made = files.injections(calls, _BULK, house.scratch, step)
            house.caller.all(made, _CLIENTS)
            sizes.append(resident(house.processes["api"]) / 1e6)
        more = {"baseline_is": "after the first tenth", "files": scale.million}
        yield Figure("memory", "API at the end", "MB", sizes[-1:], sizes[1:2], more)
