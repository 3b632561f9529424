"""`dynamo up` with real processes: comes up from nothing, heals itself, leaves nothing behind."""

import json
import os
import signal
import stat
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from flower.urls import handlers
from tornado.routing import URLSpec

from dynamo.running import run_file
from tests.servers import Broker, free_port
from tests.systems import System, alive, eventually, family, start, up

pytestmark = pytest.mark.slow

PROGRAMS = {"api", "broker", "beat", "flower", "transfer", "deletion", "policy", "consistency"}


def status(url: str, password: str | None = None, method: str = "GET") -> int:
    request = urllib.request.Request(url, method=method)
    if password is not None:
        login = b64encode(f"dynamo:{password}".encode()).decode()
        request.add_header("Authorization", f"Basic {login}")
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A system on a data directory with a blank in its name."""
    with up(tmp_path_factory.mktemp("up") / "my data") as running:
        yield running


def test_it_comes_up_from_nothing_in_another_folder(system: System) -> None:
    assert f"ready {system.address}" in system.said.splitlines()
    assert status(f"{system.address}/v1/health") == 200
    assert set(system.running.pids) == PROGRAMS
    assert (system.data / "inventory.db").exists()


def test_no_secret_stands_on_a_command_line_or_where_others_can_read_it(system: System) -> None:
    password = (system.data / "keys" / "flower").read_text().strip()
    for pid in family(system.process.pid):
        assert password.encode() not in Path(f"/proc/{pid}/cmdline").read_bytes()
    assert password not in (system.data / "run.json").read_text()
    for name in ("keys/flower", "keys/ES256", "run.json"):
        assert stat.S_IMODE((system.data / name).stat().st_mode) == 0o600


SHOWN = ("/", "/tasks", "/api/workers", "/api/tasks", "/metrics", "/healthcheck")


@pytest.mark.parametrize("path", [*SHOWN, "/static/js/flower.js"])
def test_flower_shows_what_it_has_to_who_knows_the_password(system: System, path: str) -> None:
    password = (system.data / "keys" / "flower").read_text().strip()
    eventually(lambda: status(system.running.flower + path, password) == 200)


def test_flower_shows_and_changes_nothing_without_the_password(system: System) -> None:
    paths = [*SHOWN, *(example(route) for route in handlers), "/none", "/favicon.ico"]
    for path, method in product(paths, ("GET", "POST", "HEAD", "OPTIONS")):
        for password in (None, "guessed", ""):
            found = status(system.running.flower + path, password, method)
            assert found in (401, 403), (method, path, password)


def example(route: Any) -> str:
    """Return an address that one of Flower's routes, however it was declared, serves."""
    pattern = str(route.regex.pattern if isinstance(route, URLSpec) else route[0])
    return (
        pattern.rstrip("$")
        .replace("/?", "")
        .replace("(.+)", "x")
        .replace("(.*)", "x")
        .replace(".*", "/x")
    )


def test_a_second_one_on_the_same_data_is_refused(system: System) -> None:
    second = start(system.data)
    assert second.process.wait(30) != 0
    assert f"a system runs on {system.data} already" in second.said
    assert status(f"{system.address}/v1/health") == 200


def test_a_port_in_use_is_named(system: System, tmp_path: Path) -> None:
    port = int(system.address.rpartition(":")[2])
    other = start(tmp_path / "other", port)
    assert other.process.wait(30) != 0
    assert f"port {port} is in use" in other.said


@pytest.mark.parametrize("name", ["transfer", "api", "broker", "beat"])
def test_a_program_that_was_killed_is_started_again(system: System, name: str) -> None:
    before = system.running.pids[name]

    os.kill(before, signal.SIGKILL)

    eventually(lambda: system.running.pids.get(name, before) != before)
    assert f"{name}: ended by signal SIGKILL" in system.said
    eventually(lambda: reachable(system.address))


def reachable(address: str) -> bool:
    try:
        return status(f"{address}/v1/health") == 200
    except OSError:
        return False


def test_it_ends_cleanly_and_starts_again_on_what_it_left(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with up(data) as first:
        members, key = family(first.process.pid), (data / "keys" / "ES256").read_bytes()
        assert first.end(signal.SIGTERM) == 0
        assert alive(members) == set()
        assert run_file.read(data) is None
        assert not {"run.json", "broker.sock"} & {path.name for path in data.rglob("*")}

    with up(data) as second:
        assert status(f"{second.address}/v1/health") == 200
        assert (data / "keys" / "ES256").read_bytes() == key
        members = family(second.process.pid)
        assert second.end(signal.SIGINT) == 0
        assert alive(members) == set()


def test_nothing_survives_when_it_is_killed(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with up(data) as system:
        members = family(system.process.pid)
        assert len(members) >= len(PROGRAMS)

        system.end(signal.SIGKILL)

        eventually(lambda: not alive(members), 5)
        assert run_file.read(data) is None  # run.json is still there, but nobody holds the lock

    with up(data) as again:
        assert status(f"{again.address}/v1/health") == 200


def test_a_socket_outside_the_data_directory_is_gone_with_the_system(tmp_path: Path) -> None:
    long = tmp_path / ("very-" * 25 + "long")
    with up(long) as system:
        socket = Path(system.running.broker.removeprefix("redis+socket://"))
        assert socket.exists()
        assert not socket.is_relative_to(long)
        assert socket.parent.stat().st_mode & 0o777 == 0o700
        system.end()
    assert not socket.parent.exists()


def test_it_can_be_ended_before_it_is_ready(tmp_path: Path) -> None:
    system = start(tmp_path / "data")
    system.wait_for("logs")
    members = family(system.process.pid)
    assert system.end() == 0
    assert alive(members) == set()
    assert "ready" not in system.said


def test_it_uses_the_database_and_the_broker_that_it_is_given(
    tmp_path: Path, mariadb_url: str, broker: Broker
) -> None:
    env = {"DYNAMO_DATABASE_URL": mariadb_url, "DYNAMO_BROKER_URL": broker.url}
    with up(tmp_path / "data", env) as system:
        assert status(f"{system.address}/v1/health") == 200
        assert set(system.running.pids) == PROGRAMS - {"broker"}
        assert "dynamo:dynamo" not in system.said
        assert not (tmp_path / "data" / "inventory.db").exists()
        assert json.loads((tmp_path / "data" / "run.json").read_text())["broker"] == broker.url


def test_a_database_that_is_away_is_named_without_its_password(tmp_path: Path) -> None:
    url = f"mysql+pymysql://dynamo:secret@127.0.0.1:{free_port()}/dynamo"
    system = start(tmp_path / "data", env={"DYNAMO_DATABASE_URL": url})
    assert system.process.wait(60) != 0
    assert "is unavailable" in system.said
    assert "secret" not in system.said
