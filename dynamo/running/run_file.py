"""The file `run.json`, which says how to reach a running system; valid while its lock is held."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from dynamo.errors import Conflict
from dynamo.reasons import Reason
from dynamo.running.data_directory import Layout


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """How to reach a running system; contains no secret."""

    address: str
    """Base of the REST API, `http://127.0.0.1:PORT`."""
    flower: str
    database: str
    broker: str
    pid: int
    """The process id of `dynamo up`."""
    pids: dict[str, int]
    """The process ids of its programs, by name."""


@contextmanager
def alone(layout: Layout) -> Iterator[None]:
    """Lock the data directory. Raises Conflict if another system runs on it."""
    with layout.lock.open("a") as file:
        if not _locked(file.fileno()):
            other = _stored(layout)
            where = f" as process {other.pid}, {other.address}" if other else ""
            raise Conflict(f"a system runs on {layout.data} already{where}", Reason.IN_USE)
        yield


def write(layout: Layout, running: Running) -> None:
    """Write how to reach the system, readable for its owner."""
    draft = layout.record.with_suffix(".new")
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600)
    draft.write_bytes(msgspec.json.format(msgspec.json.encode(running), indent=2) + b"\n")
    draft.replace(layout.record)


def read(data: Path) -> Running | None:
    """Return the system that runs on a data directory, or None."""
    layout = Layout(data.absolute())
    try:
        with layout.lock.open("r") as file:
            return None if _locked(file.fileno()) else _stored(layout)
    except FileNotFoundError:
        return None


def _locked(handle: int) -> bool:
    """Take the lock; return False if another process holds it."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _stored(layout: Layout) -> Running | None:
    try:
        return msgspec.json.decode(layout.record.read_bytes(), type=Running)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
