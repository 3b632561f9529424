"""Memory over very many files: the API while it registers them, workers while they bring them.

It takes minutes and runs only by name.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from tests.bench import files
from tests.bench.calling import Caller, post
from tests.bench.figures import Figure
from tests.bench.machine import resident
from tests.bench.path import FIRST, SECOND, Course, all_done, caller, output, servers, until
from tests.bench.scale import Scale
from tests.bench.stack import production_mariadb, stack
from tests.systems import up

_BULK = 1000
_CLIENTS = 4
_STEPS = 20
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
    """Let all pools work on as many files, and look at each after every twentieth of them."""
    (folder / "path").mkdir()
    none_waits = {"DYNAMO_DELETION_GRACE_HOURS": "0"}
    with (
        servers(folder / "path") as (env, pids),
        up(folder / "data", {**env, **none_waits}) as system,
    ):
        course = Course("mariadb", folder / "a", scale, system, pids)
        course.sites()
        (folder / "a" / "scratch").mkdir()
        life = Life(folder / "a", caller(system))
        sizes = []
        for number in range(_STEPS):
            life.step(number, scale.million // _STEPS)
            sizes.append(course.memory(_POOLS))
    for name in _POOLS:
        found = [size[name] / 1e6 for size in sizes]
        more = {
            "baseline_is": "after the first tenth",
            "files": scale.million,
            "largest": max(found[1:]) / found[1],
        }
        yield Figure("memory", f"{name} at the end", "MB", found[-1:], found[1:2], more)


@dataclass(frozen=True)
class Life:
    """What files live through; all have the bytes of one, so that a million need no hour."""

    folder: Path
    client: Caller

    def step(self, number: int, files: int) -> None:
        """Bring files; copy a tenth of them to another site, and delete another tenth."""
        tenth = files // 10
        parts = {"stays": files - 2 * tenth, "copied": tenth, "deleted": tenth}
        names = {part: f"/Life/alice-{part}{number}/USER" for part in parts}
        for part, size in parts.items():
            self._bring(names[part], size)
            self._done("closures", {"dataset": names[part]})
        self._done("copies", {"dataset": names["copied"], "site": SECOND, "consolidate": False})
        self._done("deletions", {"dataset": names["deleted"]})

    def _bring(self, dataset: str, files: int) -> None:
        one = output(self.folder / "scratch", "one")
        place = f"/store/user/dynamo/alice{dataset}"
        handed = [{**one, "lfn": f"{place}/{number:06d}.root"} for number in range(files)]
        bodies = (
            {"dataset": dataset, "site": FIRST, "files": handed[start : start + _BULK]}
            for start in range(0, files, _BULK)
        )
        self.client.all([post("/v1/injections", body) for body in bodies], _CLIENTS)
        query = f"dataset={quote(dataset, safe='')}&limit=1000"
        until(lambda: all_done(self.client.get(f"/v1/injections?{query}")))

    def _done(self, kind: str, body: object) -> None:
        filed = self.client.post(f"/v1/{kind}", body)
        until(lambda: self.client.get(f"/v1/{kind}/{filed['id']}")["state"] == "done")
