"""Schemathesis calls all that is described: nothing breaks, no answer is undescribed."""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from sqlalchemy import Engine

from api.app import create_app
from dynamo.db.engine.unit_of_work import UnitOfWork
from dynamo.operations.hints import Hint
from tests.api.web import Broker, Web
from tests.services.world import DATASET, build

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
EXAMPLES = 6
"""For each call and way of drawing; all in all about a thousand calls."""

KNOWN = {
    "name": ["T2_A", DATASET[1:], "User", "deletions"],
    "partition": ["User", "Analysis"],
    "user": ["alice"],
}
"""What path parameters may well be; the others are numbers that are given out from 1 on."""


@pytest.fixture
def web(_sqlite: Engine, tmp_path: Path) -> Web:
    """A small world with data in it."""
    published: list[Hint] = []
    world = build(UnitOfWork(_sqlite, published.extend), tmp_path, published)
    for name in ("T2_A", "T2_B"):
        world.site(name)
    world.many("T2_A", 3)
    world.work()
    world.copy("T2_B")
    broker = Broker()
    return Web(create_app(world.ctx, broker), world, broker)


def calling(operation: Any, mode: GenerationMode, headers: dict[str, str]) -> Callable[[], None]:
    """Return a test that makes calls of one operation, drawn from its description."""

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode), data=st.data())
    def call(case: Any, data: st.DataObject) -> None:
        for name in case.path_parameters or {}:
            if data.draw(st.booleans()):
                case.path_parameters[name] = data.draw(st.sampled_from(KNOWN.get(name, ["1"])))
        drawn = {k: v for k, v in (case.headers or {}).items() if k.lower() != "authorization"}
        case.headers = {**drawn, **headers}
        answer = case.call()
        case.validate_response(answer, checks=CHECKS)

    return call


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_no_call_breaks_the_service_or_is_answered_as_nobody_said(
    web: Web, mode: GenerationMode
) -> None:
    schema = schemathesis.openapi.from_wsgi("/v1/swagger.json", web.app)
    headers = {"Authorization": f"Bearer {web.token('olga', 'operator')}"}
    called = 0
    for found in schema.get_all_operations():
        with contextlib.suppress(Unsatisfiable):  # a call without parameters cannot be made wrongly
            calling(found.ok(), mode, headers)()
        called += 1
    assert called > 60
