"""Pages of files: the first of a large dataset beside that of a small one, and a long page."""

from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import update

from dynamo.db.tables import BlockReplica, Transfer
from tests.bench import files
from tests.bench.figures import Figure
from tests.bench.scale import Scale
from tests.bench.stack import Stack, production_mariadb, stack

_SMALL, _LARGE = 1, 2
_BULK = 5000


def run(folder: Path, scale: Scale) -> Iterator[Figure]:
    """Measure on MariaDB, while the files are on their way and when they have arrived."""
    with (
        production_mariadb(folder / "mariadb") as server,
        stack(folder / "stack", server) as house,
    ):
        _fill(house, scale.dataset_files)
        for state in ("on their way", "arrived"):
            yield _first_pages(house, scale, state)
            yield _long_page(house, scale, state)
            _arrive(house)


def _fill(house: Stack, count: int) -> None:
    bulk = min(_BULK, count)
    house.caller.each(files.injections(1, 100, house.scratch, _SMALL))
    house.caller.each(files.injections(count // bulk, bulk, house.scratch, _LARGE))


def _arrive(house: Stack) -> None:
    with house.ctx.begin() as work:
        work.changed(update(Transfer).values(state="done", not_before=None))
        work.changed(update(BlockReplica).values(complete=True))


def _first_pages(house: Stack, scale: Scale, state: str) -> Figure:
    pages = [("GET", _page(dataset, 100), None) for dataset in (_SMALL, _LARGE)]
    house.caller.each(pages)
    seconds = house.caller.each(pages * scale.pages)
    small, large = ([1000 * one for one in seconds[n::2]] for n in (0, 1))
    more = {"baseline_is": "a dataset of 100 files", "files": scale.dataset_files}
    return Figure("reading", f"first page of 100, {state}", "ms", large, small, more)


def _long_page(house: Stack, scale: Scale, state: str) -> Figure:
    page = ("GET", _page(_LARGE, 1000), None)
    house.caller.each([page])
    count = max(1, scale.pages // 5)
    cpu: list[float] = []
    parts: dict[str, float] = {}
    for _ in range(scale.runs):
        meter = house.meter()
        house.caller.each([page] * count)
        used = meter.used()
        parts = {f"{name}_cpu_ms": 1000 * one / count for name, one in used.items()}
        cpu.append(sum(parts.values()))
    return Figure("reading", f"server CPU of a page of 1000, {state}", "ms", cpu, (), parts)


def _page(dataset: int, limit: int) -> str:
    name = files.DATASET.format(n=dataset).replace("/", "%2F")
    return f"/v1/files?dataset={name}&limit={limit}"
