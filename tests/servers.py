"""Real servers for tests: private, on free ports, in folders of their own, gone at the end.

They end with the process that started them, so an interrupted test run leaves nothing behind.
"""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pymysql
import redis

from dynamo.running.process import spawn, stop

_PLACES = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"))
_SMALL = (
    "--innodb-log-file-size=16M",
    "--innodb-buffer-pool-size=64M",
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-doublewrite=0",
    "--performance-schema=0",
    "--skip-log-bin",
    "--skip-name-resolve",
)


def program(names: tuple[str, ...], package: str) -> str:
    """Find a server's program. Raises with a sentence what to install."""
    for name in names:
        if path := shutil.which(name, path=_PLACES):
            return path
    install = f"apt-get install -y --no-install-recommends {package}"
    raise FileNotFoundError(f"{names[0]} is not installed: {install}")


def free_port() -> int:
    """Return a port of the loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(
    ready: Callable[[], object], log: Path, process: "subprocess.Popen[bytes]", seconds: float = 30
) -> None:
    """Wait until a server answers; says what its log says when it does not."""
    end = time.monotonic() + seconds
    while True:
        try:
            ready()
        except (OSError, pymysql.Error, redis.RedisError) as error:
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(
                    f"{process.args!r} did not come up:\n{log.read_text()[-2000:]}"
                ) from error
            time.sleep(0.01)
        else:
            return


# --- MariaDB -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class MariaDB:
    """A private MariaDB; the user `dynamo` may do anything with databases named dynamo…"""

    port: int
    process: "subprocess.Popen[bytes]" = field(repr=False)

    def url(self, database: str = "dynamo") -> str:
        """Return the SQLAlchemy URL of a database; PyMySQL takes 55 ms to get ready for TLS."""
        return f"mysql+pymysql://dynamo:dynamo@127.0.0.1:{self.port}/{database}?ssl_disabled=1"

    def create(self, database: str) -> str:
        """Create an empty database, in place of one of that name, and return its URL."""
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE IF EXISTS `{database}`")
            cursor.execute(f"CREATE DATABASE `{database}` CHARACTER SET utf8mb4")
        return self.url(database)

    def connect(self) -> "pymysql.Connection":
        """Connect as administrator."""
        return pymysql.connect(
            host="127.0.0.1",
            port=self.port,
            user="admin",
            password="admin",
            autocommit=True,
            ssl_disabled=True,
        )


def _as_root() -> list[str]:
    return ["--user=root"] if os.geteuid() == 0 else []


def _mariadbd() -> str:
    return program(("mariadbd", "mysqld"), "mariadb-server")


def template(cache: Callable[[str], Path]) -> Path:
    """Return a data folder as a new MariaDB of the installed version has it, made once and kept."""
    version = subprocess.run(
        [_mariadbd(), "--version"], check=True, capture_output=True, text=True
    ).stdout.split()[2]
    folder = cache(f"mariadb-{version}")
    done = folder / "data"
    if not done.exists():
        making = folder / f"making-{os.getpid()}"
        shutil.rmtree(making, ignore_errors=True)
        install = program(("mariadb-install-db", "mysql_install_db"), "mariadb-server")
        command = [install, "--no-defaults", *_as_root(), f"--datadir={making}", "--skip-test-db"]
        command += ["--auth-root-authentication-method=normal", *_SMALL]
        # each clears its folder for temporary tables at its start, and with it those of others
        with tempfile.TemporaryDirectory(dir=folder) as own:
            command += [f"--tmpdir={own}"]
            subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True)
        try:
            making.rename(done)
        except OSError:  # somebody else was faster
            shutil.rmtree(making)
    return done


@contextmanager
def mariadb(folder: Path, blank: Path, settings: Sequence[str] = ()) -> Iterator[MariaDB]:
    """Run a MariaDB in `folder` on a copy of the data folder `blank`; `settings` win over ours."""
    data, log, port = folder / "data", folder / "log", free_port()
    shutil.copytree(blank, data)
    (folder / "init.sql").write_text(
        "CREATE USER admin@'127.0.0.1' IDENTIFIED BY 'admin';\n"
        "GRANT ALL ON *.* TO admin@'127.0.0.1' WITH GRANT OPTION;\n"
        "CREATE USER dynamo@'127.0.0.1' IDENTIFIED BY 'dynamo';\n"
        "GRANT ALL ON `dynamo%`.* TO dynamo@'127.0.0.1';\n"
        "CREATE DATABASE dynamo CHARACTER SET utf8mb4;\n"
    )
    command = [_mariadbd(), "--no-defaults", *_as_root(), f"--datadir={data}", f"--tmpdir={folder}"]
    # relative to the data folder: an absolute socket path may be too long for the kernel
    command += [
        "--socket=s.sock",
        f"--pid-file={folder}/pid",
        f"--port={port}",
        "--bind-address=127.0.0.1",
    ]
    command += [f"--init-file={folder}/init.sql", "--max-connections=500", *_SMALL, *settings]
    process = spawn(command, log)
    server = MariaDB(port, process)
    try:
        wait_until(lambda: server.connect().close(), log, process)
        yield server
    finally:
        stop(process, signal.SIGKILL, 5)  # nobody will read these data again
        shutil.rmtree(data, ignore_errors=True)


# --- Redis -------------------------------------------------------------------------------------


@dataclass
class Broker:
    """A private Redis that can be stopped, frozen, wiped and started again at the same address."""

    folder: Path
    port: int
    process: "subprocess.Popen[bytes] | None" = field(default=None, repr=False)

    @property
    def url(self) -> str:
        """Return the Redis URL."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def client(self) -> "redis.Redis":
        """Return a client."""
        return redis.Redis.from_url(self.url, socket_timeout=5)

    def start(self) -> None:
        """Start it, with what it held when it was stopped."""
        command = [
            program(("redis-server", "valkey-server"), "redis-server"),
            "--bind",
            "127.0.0.1",
        ]
        command += [
            "--port",
            str(self.port),
            "--dir",
            str(self.folder),
            "--save",
            "",
            "--appendonly",
            "yes",
        ]
        log = self.folder / "log"
        self.process = spawn(command, log)
        wait_until(self.client.ping, log, self.process)

    def stop(self) -> None:
        """End it at once, as a power cut would."""
        if self.process is not None:
            stop(self.process, signal.SIGKILL, 5)
            self.process = None

    def freeze(self) -> None:
        """Let it keep its connections and answer nothing."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def wipe(self) -> None:
        """Lose everything that it holds."""
        self.client.flushall()

    def depth(self, queue: str) -> int:
        """Return how many messages wait in a queue."""
        return int(self.client.llen(queue))

    def messages(self, queue: str) -> list[bytes]:
        """Return the raw messages that wait in a queue, the next first."""
        return list(reversed(self.client.lrange(queue, 0, -1)))  # type: ignore[arg-type]


@contextmanager
def redis_server(folder: Path) -> Iterator[Broker]:
    """Run a Redis in `folder`."""
    server = Broker(folder, free_port())
    server.start()
    try:
        yield server
    finally:
        server.stop()
