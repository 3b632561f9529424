"""Memory over very many files: the API while it registers them, workers while they bring them.

It takes minutes and runs only by name.
"""

from collections.abc import Iterator
from pathlib import Path

from tests.bench import files
from tests.bench.figures import Figure
from tests.bench.machine import resident
from tests.bench.path import Course, servers
from tests.bench.scale import Scale
from tests.bench.stack import production_mariadb, stack
from tests.systems import up

_BULK = 1000
_CLIENTS = 4
_STEPS = 20
_ROUNDS = 10
_POOLS = ("api", "transfer", "deletion", "policy", "consistency", "beat")


def run(folder: Path, scale: Scale) -> Iterator[Figure]:
    """Look at the memory after each step; the first ones warm up."""
    yield _registering(folder, scale)
    yield from _bringing(folder, scale)


def _registering(folder: Path, scale: Scale) -> Figure:
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
    return Figure("memory", "API at the end", "MB", sizes[-1:], sizes[1:2], more)


def _bringing(folder: Path, scale: Scale) -> Iterator[Figure]:
    """Take small files through the whole path, and copy them, round after round."""
    (folder / "path").mkdir()
    with servers(folder / "path") as (env, pids), up(folder / "data", env) as system:
        course = Course("mariadb", folder / "a", scale, system, pids)
        course.sites()
        sizes = []
        for number in range(_ROUNDS):
            course.round(number)
            sizes.append(course.memory(_POOLS))
    for name in _POOLS:
        found = [size[name] / 1e6 for size in sizes]
        more = {
            "baseline_is": "after the second round of ten",
            "files": _ROUNDS * scale.small_files,
        }
        yield Figure(
            "memory", f"{name} at the end of ten rounds", "MB", found[-1:], found[1:2], more
        )
