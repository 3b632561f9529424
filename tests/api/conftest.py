"""The application on both databases, with two sites."""

from pathlib import Path

import pytest

from api.app import create_app
from dynamo.db.engine.unit_of_work import UnitOfWork
from dynamo.operations.hints import Hint
from tests.api.web import Broker, Web
from tests.services.world import build


@pytest.fixture
def web(begin: UnitOfWork, tmp_path: Path, published: list[Hint]) -> Web:
    """Two sites with room for users, and the application that answers for them."""
    world = build(begin, tmp_path, published, block={"max_files": 5})
    for name in ("T2_A", "T2_B"):
        world.site(name)
    broker = Broker()
    return Web(create_app(world.ctx, broker), world, broker)
