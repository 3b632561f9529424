"""The API of a plant, and what is handed over by it."""

import celeryconfig
from api.app import create_app
from dynamo.queues.depths import Depths
from dynamo.queues.publisher import quick_app
from tests.api.web import Web
from tests.faults.plant import Plant
from tests.services.world import lfn


def contents(site: str, n: int) -> dict[str, bytes]:
    """Return what `World.many` hands over at a site."""
    return {lfn(f"{site}_{i}.root"): f"{site}_{i}.root".encode() * 10 for i in range(n)}


def web(plant: Plant) -> Web:
    """Return the API of a plant."""
    app = quick_app(celeryconfig)
    app.conf.broker_url = plant.broker.url
    return Web(create_app(plant.world.ctx, Depths(app)), plant.world, None)  # type: ignore[arg-type]
