"""Registration by REST: files a second as clients see it, and what the server spends on them."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.bench import files
from tests.bench.bare import Bare, bare
from tests.bench.figures import Figure
from tests.bench.scale import Scale
from tests.bench.stack import Stack, production_mariadb, stack

CLIENTS = 4
_BARE_BULKS = 10


def run(folder: Path, scale: Scale) -> Iterator[Figure]:
    """Measure on MariaDB, then on SQLite."""
    with (
        production_mariadb(folder / "mariadb") as server,
        stack(folder / "stack", server) as house,
        bare(server, folder) as floor,
    ):
        yield from _Race("mariadb", house, floor, scale).figures()
    with stack(folder / "embedded", None) as house, bare(None, folder) as floor:
        yield from _Race("sqlite", house, floor, scale).figures()


@dataclass(frozen=True)
class _Race:
    database: str
    house: Stack
    floor: Bare
    scale: Scale

    def figures(self) -> Iterator[Figure]:
        rates: dict[int, list[float]] = defaultdict(list)
        cpu: dict[int, list[Mapping[str, float]]] = defaultdict(list)
        floor: list[float] = []
        self._round(1, 20), self._round(1000, 4), self._bare()  # warm
        for _ in range(self.scale.runs):
            floor.append(self._bare())
            for bulk, calls in self.scale.calls.items():
                rate, used = self._round(bulk, calls)
                rates[bulk].append(rate)
                cpu[bulk].append(used)
        for bulk, found in rates.items():
            more = {
                "baseline_is": "INSERT of the same rows, 1000 files a transaction, one connection",
                "clients": CLIENTS,
                **{
                    f"{name}_cpu_s_per_1000_files": _median([used[name] for used in cpu[bulk]])
                    for name in cpu[bulk][0]
                },
            }
            name = f"{self.database}, bulks of {bulk}"
            yield Figure("registration", name, "files/s", found, floor, more)

    def _round(self, bulk: int, calls: int) -> tuple[float, Mapping[str, float]]:
        made = files.injections(calls, bulk, self.house.scratch)
        meter = self.house.meter()
        seconds = self.house.caller.all(made, CLIENTS)
        n = calls * bulk
        return n / seconds, {name: used / n * 1000 for name, used in meter.used().items()}

    def _bare(self) -> float:
        bulks = self.floor.bulks(_BARE_BULKS, 1000)
        return _BARE_BULKS * 1000 / self.floor.seconds(bulks)


def _median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]
