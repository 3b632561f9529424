"""Outputs of jobs that take a while to copy, and what is left of them."""

from pathlib import Path

from dynamo.inventory import schemas
from tests.faults.plant import Plant
from tests.services.world import lfn

LARGE = 300 * 2**20


def large_output(plant: Plant, site: str, name: str) -> schemas.InjectedFile:
    """Make a large output, mostly of holes, whose size and checksum Dynamo is to read."""
    path = plant.world.output_path(site, name)
    with path.open("wb") as stream:
        stream.write(b"begin")
        stream.seek(LARGE - 3)
        stream.write(b"end")
    return schemas.InjectedFile(lfn=lfn(name), source=f"file://{path}")


def temporaries(plant: Plant, site: str) -> list[Path]:
    """List what lies under temporary names."""
    return list((plant.world.folder / site).glob("store/temp/dynamo/.copies/*"))
