"""How a running system is found: `run.json` in its data directory, true while its lock is held."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from dynamo.errors import Conflict
from dynamo.running.data_directory import Layout


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """What others may know of a running system; holds no secret."""

    address: str
    """Base of the REST API, `http://127.0.0.1:PORT`."""
    flower: str
    database: str
    broker: str
    pid: int
    """Of `dynamo up` itself."""
    pids: dict[str, int]
    """Of its programs, by name."""


@contextmanager
def alone(layout: Layout) -> Iterator[None]:
    """Hold the data directory. Raises Conflict where another system runs on it."""
    with layout.lock.open("a") as file:
        if not _locked(file.fileno()):
            found = _stored(layout)
            where = f" as process {found.pid}, {found.address}" if found else ""
            raise Conflict(f"a system runs on {layout.data} already{where}", "in-use")
        yield


def write(layout: Layout, running: Running) -> None:
    """Say how the system is reached, for its owner's eyes."""
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
    """Take the lock, or see that somebody else has it."""
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
