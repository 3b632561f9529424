"""Where a proxy may call from, and settings that are not safe."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from sqlalchemy import Engine

from api.app import create_app
from dynamo.db.engine.unit_of_work import UnitOfWork
from dynamo.settings import Proxy
from tests.api.web import Broker, Web, problem
from tests.services.world import build

SECRET = "sixteen-letters-"
ALICE = "CN=Alice,DC=org"
TOLD = {"X-Client-Subject": ALICE, "X-Proxy-Secret": SECRET}


Stage = Callable[..., Web]


@pytest.fixture
def behind(_sqlite: Engine, tmp_path: Path) -> Stage:
    """Return how an application is made behind a proxy at these addresses."""

    def make(*addresses: str) -> Web:
        settings = {"addresses": addresses, "secret": SECRET, "users": {ALICE: "alice"}}
        world = build(UnitOfWork(_sqlite), tmp_path, [], proxy=settings)
        broker = Broker()
        return Web(create_app(world.ctx, broker), world, broker)

    return make


def status(web: Web, address: str, **changed: str) -> int:
    call = web.call(
        "GET",
        "/v1/sites",
        by=None,
        headers={**TOLD, **changed},
        environ_overrides={"REMOTE_ADDR": address},
    )
    if call.status_code != 200:
        problem(call, 401, "unauthenticated")
        assert SECRET not in call.get_data(as_text=True)
    return call.status_code


def test_the_proxy_is_believed_at_its_own_addresses(behind: Stage) -> None:
    web = behind("10.1.0.0/16", "fd00::7")
    for address in ("10.1.2.3", "::ffff:10.1.2.3", "fd00::7"):
        assert status(web, address) == 200
    for address in ("10.2.0.1", "127.0.0.1", "fd00::8", "::1", "", "10.1.2.3, 10.1.2.4", "unix:"):
        assert status(web, address) == 401
    for header in ("X-Forwarded-For", "X-Real-IP", "Forwarded"):
        assert status(web, "10.2.0.1", **{header: "10.1.2.3"}) == 401


def test_without_addresses_nobody_is_the_proxy(behind: Stage) -> None:
    web = behind()
    assert status(web, "127.0.0.1") == 401
    assert status(web, "127.0.0.1", **{"X-Proxy-Secret": ""}) == 401


@pytest.mark.parametrize(
    "unsafe",
    [
        {"addresses": ["10.1.0.0/16"]},
        {"addresses": ["10.1.0.0/16"], "secret": "fifteen-letters"},
        {"addresses": ["10.1.2.3/16"], "secret": SECRET},
        {"addresses": ["proxy.example.org"], "secret": SECRET},
        {"users": {ALICE: "Not A User"}},
    ],
)
def test_settings_that_are_not_safe_are_refused_without_being_repeated(
    unsafe: dict[str, Any],
) -> None:
    with pytest.raises(ValidationError) as refused:
        Proxy(**unsafe)
    assert str(unsafe.get("secret", SECRET)) not in str(refused.value)
