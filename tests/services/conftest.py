"""Worlds for the services, on SQLite and on MariaDB."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dynamo.db.engine.unit_of_work import UnitOfWork
from dynamo.operations.hints import Hint
from dynamo.services.maintenance import invariants
from tests.services.world import World, build


@pytest.fixture
def world(begin: UnitOfWork, tmp_path: Path, published: list[Hint]) -> Iterator[World]:
    """Three sites with room for users; at the end of each test all invariants hold."""
    small = build(begin, tmp_path, published, block={"max_files": 5})
    for name in ("T2_A", "T2_B", "T2_C"):
        small.site(name)
    yield small
    assert [str(found) for found in invariants.check(small.ctx) if not found.is_warning] == []
