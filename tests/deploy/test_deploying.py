"""What `deploy/` ships: each file read by the program that it is for."""

import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import redis
import yaml

from dynamo.running.process import spawn, stop
from dynamo.settings import FILE, Settings, load
from dynamo.tasks import POOLS
from tests.faults.plant import Plant, plant
from tests.servers import Broker, free_port, program, wait_until

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
DYNAMO = str(Path(sys.executable).parent / "dynamo")
PARTS = {"prepare", "api", "beat", "flower", *POOLS}


def ran(*command: str | Path, **env: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command, env={**os.environ, **env}, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the folder with passwords, as an installation has it."""
    folder = tmp_path_factory.mktemp("shipped") / "deploy"
    shutil.copytree(DEPLOY, folder, ignore=shutil.ignore_patterns("secrets"))
    made = ran(folder / "secrets.sh", folder / "secrets", "database", "redis")
    assert made.returncode == 0, made.stderr
    return folder


def environment(path: Path) -> dict[str, str]:
    """Read a file of variables."""
    return dict(line.split("=", 1) for line in path.read_text().splitlines())


# --- passwords ------------------------------------------------------------------------------------


def test_passwords_are_made_once_and_for_their_owner_alone(shipped: Path, tmp_path: Path) -> None:
    secrets = shipped / "secrets"
    assert {stat.S_IMODE(path.stat().st_mode) for path in secrets.iterdir()} == {0o600}
    before = {path: path.read_text() for path in secrets.iterdir()}
    assert ran(shipped / "secrets.sh", secrets).returncode == 0
    assert {path: path.read_text() for path in secrets.iterdir()} == before

    ran(shipped / "secrets.sh", tmp_path / "others")
    for path, text in before.items():
        assert (tmp_path / "others" / path.name).read_text() != text
    assert ran(shipped / "secrets.sh").returncode == 2


def test_no_file_of_the_project_holds_a_password() -> None:
    for path in (path for path in DEPLOY.rglob("*") if path.is_file() and path.parent != "secrets"):
        if "secrets" not in path.relative_to(DEPLOY).parts:
            found = re.findall(
                r"(?im)(?:password|secret|auth)\w* *[:=] *(?![\"' ]*[$/(])(\S+)", path.read_text()
            )
            assert [one for one in found if not one.startswith(("secrets/", "$"))] == [], path


# --- settings -------------------------------------------------------------------------------------


def test_every_key_of_the_example_configuration_is_known(
    shipped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment(shipped / "secrets" / "dynamo.env").items():
        monkeypatch.setenv(name, value)
    text = (DEPLOY / "dynamo.toml").read_text()
    (tmp_path / FILE).write_text(text)

    found = load(tmp_path)

    assert found.database_url.startswith("mysql+pymysql://dynamo:")
    assert found.token.issuers[0].users == {"3f1c6a9e-0d6b-4a53-9a55-0c2f4c1b7d11": "alice"}
    assert found.proxy.addresses == ("127.0.0.1",)
    # what is shown as the default is the default, apart from what an installation has to say
    shown, plain = tomllib.loads(text), Settings(data=tmp_path / "none").model_dump()
    for section in ("block", "user", "deletion"):
        assert shown[section].items() <= plain[section].items(), section


# --- systemd --------------------------------------------------------------------------------------


@pytest.fixture
def units(shipped: Path, tmp_path: Path) -> Path:
    """The units with the paths of this checkout in place of those of an installation."""
    folder = tmp_path / "units"
    shutil.copytree(shipped / "systemd", folder)
    for path in folder.rglob("*.*"):
        if path.is_file():
            text = path.read_text().replace(
                "/opt/dynamo/.venv/bin", str(Path(sys.executable).parent)
            )
            path.write_text(text.replace("/etc/dynamo", str(shipped / "secrets")))
    return folder


def verified(units: Path, names: list[str]) -> str:
    """Return all that systemd has to say against units."""
    done = ran("systemd-analyze", "verify", *names, SYSTEMD_UNIT_PATH=f"{units}:")
    return done.stdout + done.stderr + ("" if done.returncode == 0 else f"code {done.returncode}")


def unit_of(part: str) -> str:
    return f"dynamo-worker@{part}.service" if part in POOLS else f"dynamo-{part}.service"


def test_systemd_has_nothing_to_say_against_the_units(units: Path) -> None:
    names = ["dynamo.target", *map(unit_of, sorted(PARTS))]
    assert verified(units, names) == ""
    for fault in ("Bogus=1", "ExecStartPre=/no/such/program"):  # it would have said so
        (units / "dynamo-.service.d" / "more.conf").write_text(f"[Service]\n{fault}\n")
        assert verified(units, names) != ""


def test_the_target_starts_every_part_and_every_part_is_one_that_dynamo_runs(units: Path) -> None:
    wanted = set(re.findall(r"dynamo-\S+\.service", (units / "dynamo.target").read_text()))
    assert wanted == {unit_of(part) for part in PARTS - {"prepare"}}
    for part in PARTS:
        text = (units / unit_of(part).replace(f"@{part}", "@")).read_text()
        assert f"/dynamo run {'%i' if part in POOLS else part}" in text


def test_services_may_do_little(units: Path) -> None:
    for part in PARTS:
        found = ran(
            *("systemd-analyze", "security", "--offline=true", "--threshold=25", unit_of(part)),
            SYSTEMD_UNIT_PATH=f"{units}:",
        )
        assert found.returncode == 0, found.stdout + found.stderr


# --- containers -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def services(shipped: Path) -> dict[str, Any]:
    """What the reader of compose files makes of ours."""
    done = ran("docker-compose", "--file", shipped / "compose.yaml", "config")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return dict(yaml.safe_load(done.stdout)["services"])


def test_every_part_has_a_container(services: dict[str, Any]) -> None:
    commands = {name: one["command"] for name, one in services.items() if "build" in one}
    assert set(commands) == PARTS
    assert all(command[:2] == ["run", name] for name, command in commands.items())
    assert set(services) - PARTS == {"database", "redis"}
    for pool in POOLS:
        assert services[pool]["stop_signal"] == "SIGQUIT"


def test_only_the_api_and_flower_are_reached_and_only_from_the_machine(
    services: dict[str, Any],
) -> None:
    published = {name: one["ports"] for name, one in services.items() if "ports" in one}
    assert set(published) == {"api", "flower"}
    assert all(str(port).startswith("127.0.0.1:") for ports in published.values() for port in ports)
    for name in ("database", "redis"):
        assert set(services[name]["networks"]) == {"inner"}
        assert "test" in services[name]["healthcheck"]
    assert yaml.safe_load((DEPLOY / "compose.yaml").read_text())["networks"]["inner"]["internal"]


def test_each_container_knows_the_passwords_that_it_needs_and_no_others(
    services: dict[str, Any], shipped: Path
) -> None:
    files = {path.stem: environment(path) for path in (shipped / "secrets").glob("*.env")}
    assert services["database"]["environment"] == files["mariadb"]
    assert services["redis"]["environment"] == files["redis"]
    for part in PARTS:
        assert services[part]["environment"] == files["dynamo"]


def test_the_dockerfile_satisfies_its_own_checker() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    said = ran(hadolint, "--failure-threshold", "warning", DEPLOY / "Dockerfile")
    assert said.returncode == 0, said.stdout


def test_the_image_is_made_of_what_is_there() -> None:
    lines = (DEPLOY / "Dockerfile").read_text().replace("\\\n", "").splitlines()
    steps = [line.split(maxsplit=1) for line in lines if line and not line.startswith("#")]
    assert ["RUN", "deploy/install.sh runtime"] in steps
    assert ["ENTRYPOINT", '["dynamo"]'] in steps
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert "dynamo" in scripts
    places = [words.split()[-1] for kind, words in steps if kind in ("WORKDIR", "COPY")]
    assert set(places) == {"/opt/dynamo", "."}, "an environment cannot be moved"
    assert set((ROOT / ".dockerignore").read_text().split()) >= {".git", ".venv", "deploy/secrets"}


# --- Redis ----------------------------------------------------------------------------------------


@pytest.fixture
def guarded(services: dict[str, Any], tmp_path: Path) -> Any:
    """A Redis as its container starts it: the same words, in folders and on a port of ours."""
    shell, dash, script = services["redis"]["command"]
    password = services["redis"]["environment"]["REDISCLI_AUTH"]
    port = free_port()
    script = script.replace("$$", "$").replace("/etc/redis.conf", str(DEPLOY / "redis.conf"))
    script = script.replace("/run/redis", str(tmp_path)).replace("/data", str(tmp_path))
    server = program(("redis-server", "valkey-server"), "redis-server")
    script = script.replace("redis-server", f"{server}", 1).strip()
    command = [shell, dash, f"{script} --port {port} --bind 127.0.0.1"]
    log = tmp_path / "redis.log"
    process = spawn(command, log, {**os.environ, "REDISCLI_AUTH": password})
    url = f"redis://:{password}@127.0.0.1:{port}/0"
    try:
        wait_until(redis.Redis.from_url(url).ping, log, process)
        yield url
    finally:
        stop(process, 9, 5)


def test_redis_is_closed_and_dynamo_can_do_its_work_on_it(
    guarded: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    stranger = redis.Redis.from_url(re.sub(r":[^:@]*@", "", guarded, count=1))
    with pytest.raises(redis.AuthenticationError):
        stranger.llen("copy")
    client = redis.Redis.from_url(guarded)
    for words in ("FLUSHALL", "CONFIG GET *", "KEYS *", "SHUTDOWN", "REPLICAOF NO ONE"):
        with pytest.raises(redis.exceptions.NoPermissionError):
            client.execute_command(*words.split())
    info = client.info()
    assert (info["aof_enabled"], info["maxmemory_policy"]) == (1, "noeviction")

    class Guarded(Broker):
        url = guarded  # type: ignore[assignment]

    small: Plant = plant(request.getfixturevalue("_mariadb"), Guarded(tmp_path, 0), tmp_path)
    try:
        # by the words of the units, so that the node is named as on a real machine
        parts = [small._run((DYNAMO, "run", part), part) for part in ("transfer", "beat")]
        injection = small.world.many("T2_A", 3)
        small.until(lambda: small.state("injection", injection) == "done")
        assert "NOPERM" not in "".join(part.said for part in parts)
        parts[0].process.send_signal(signal.SIGQUIT)
        assert parts[0].process.wait(30) == 0
    finally:
        small.stop()
