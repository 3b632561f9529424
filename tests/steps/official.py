"""Official data as production states them."""

from collections.abc import Iterable
from typing import Any

import msgspec

from dynamo.inventory import schemas
from dynamo.inventory.callers import Caller
from dynamo.inventory.states import Role
from dynamo.services.official import registration
from tests.services.world import World

PROD = Caller("prod", frozenset({Role.USER, Role.PRODUCTION}))
RAW = "/Cosmics/Run1-v1/RAW"


def names(block: str, n: int = 2, dataset: str = RAW) -> list[str]:
    """Return the names of a block's files."""
    return [f"/store{dataset}/{block}_{i}.root" for i in range(n)]


def files(block: str, n: int = 2, dataset: str = RAW) -> list[dict[str, Any]]:
    """Describe a block's files of 100, 101, … bytes."""
    return [
        {"lfn": lfn, "size": 100 + i, "adler32": "0a1b2c3d"}
        for i, lfn in enumerate(names(block, n, dataset))
    ]


def block(
    name: str, sites: Iterable[str] = ("T2_A",), n: int = 2, dataset: str = RAW, **more: Any
) -> dict[str, Any]:
    """Describe a block that lies whole at sites, and is closed."""
    replicas = [{"site": site} for site in sites]
    found = {"name": name, "files": files(name, n, dataset), "replicas": replicas, "open": False}
    return {**found, **more}


def dataset(*blocks: dict[str, Any], name: str = RAW, **more: Any) -> dict[str, Any]:
    """Describe a dataset."""
    return {"name": name, "blocks": list(blocks), **more}


def register(world: World, *datasets: dict[str, Any], by: Caller = PROD) -> dict[str, Any]:
    """State official data."""
    wanted = msgspec.convert(datasets, tuple[schemas.OfficialDataset, ...])
    return registration.register(world.ctx, wanted, by)
