"""A private MariaDB and Redis for the demonstration, on loopback, removed at the end."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pymysql
import redis

from dynamo.errors import Unavailable
from dynamo.running.process import spawn, stop

_PLACES = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"))
_SMALL = (
    "--innodb-log-file-size=32M",
    "--innodb-buffer-pool-size=128M",
    "--performance-schema=0",
    "--skip-log-bin",
    "--skip-name-resolve",
)
_PATIENCE = 60.0


@contextmanager
def mysql_stack(folder: Path) -> Iterator[Mapping[str, str]]:
    """Run both servers in `folder`; yield the environment of a system that uses them."""
    with mariadb(folder / "mariadb") as database, redis_server(folder / "redis") as broker:
        yield {"DYNAMO_DATABASE_URL": database, "DYNAMO_BROKER_URL": broker}


@contextmanager
def mariadb(folder: Path) -> Iterator[str]:
    """Run a MariaDB and yield the URL of an empty database. Raises Unavailable."""
    folder.mkdir(parents=True, mode=0o700)
    port, data, log = _free_port(), folder / "data", folder / "log"
    as_root = ("--user=root",) if os.geteuid() == 0 else ()
    install = _program("mariadb-install-db", "mariadb-server")
    # a private folder: some servers clear the temporary folder at their start
    temporary = f"--tmpdir={folder}"
    command = [install, "--no-defaults", *as_root, f"--datadir={data}", temporary, "--skip-test-db"]
    made = subprocess.run(  # noqa: S603 - a program of the system with fixed arguments
        [*command, *_SMALL],
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    if made.returncode != 0:
        raise Unavailable(f"{install} failed: {made.stderr[-1000:]}")
    password = secrets.token_hex(16)
    (folder / "init.sql").write_text(
        "CREATE DATABASE dynamo CHARACTER SET utf8mb4;\n"
        f"CREATE USER dynamo@'127.0.0.1' IDENTIFIED BY '{password}';\n"
        "GRANT ALL ON dynamo.* TO dynamo@'127.0.0.1';\n"
    )
    command = [
        *(_program("mariadbd", "mariadb-server"), "--no-defaults", *as_root),
        *(f"--datadir={data}", temporary, "--socket=s.sock", f"--pid-file={folder}/pid"),
        *(f"--port={port}", "--bind-address=127.0.0.1", f"--init-file={folder}/init.sql", *_SMALL),
    ]

    def ready() -> None:
        pymysql.connect(host="127.0.0.1", port=port, user="dynamo", password=password).close()

    with _running(command, log, ready):
        yield f"mysql+pymysql://dynamo:{password}@127.0.0.1:{port}/dynamo"


@contextmanager
def redis_server(folder: Path) -> Iterator[str]:
    """Run a Redis and yield its URL. Raises Unavailable."""
    folder.mkdir(parents=True, mode=0o700)
    port, password, settings = _free_port(), secrets.token_hex(16), folder / "redis.conf"
    settings.write_text(
        f'bind 127.0.0.1\nport {port}\nrequirepass {password}\ndir "{folder}"\n'
        'save ""\nappendonly yes\n'
    )
    url = f"redis://:{password}@127.0.0.1:{port}/0"
    command = [_program("redis-server", "redis-server"), str(settings)]
    with _running(command, folder / "log", redis.Redis.from_url(url).ping):
        yield url


@contextmanager
def _running(command: list[str], log: Path, ready: Callable[[], object]) -> Iterator[None]:
    process = spawn(command, log)
    try:
        end = time.monotonic() + _PATIENCE
        while not _answers(ready):
            if process.poll() is not None or time.monotonic() > end:
                raise Unavailable(f"{command[0]} did not come up: {log.read_text()[-1000:]}")
            time.sleep(0.05)
        yield
    finally:
        stop(process, signal.SIGTERM, 20)


def _answers(ready: Callable[[], object]) -> bool:
    try:
        ready()
    except (OSError, pymysql.Error, redis.RedisError):
        return False
    return True


def _program(name: str, package: str) -> str:
    path = shutil.which(name, path=_PLACES)
    if path is None:
        how = f"apt-get install -y --no-install-recommends {package}"
        raise Unavailable(f"{name} is not installed; on Debian: {how}")
    return path


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
