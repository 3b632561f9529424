"""Whole systems for tests: `dynamo up` as its users start it, from another folder."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from dynamo.running import run_file
from dynamo.running.process import spawn, stop
from dynamo.running.run_file import Running

DYNAMO = "from dynamo.cli.main import main; main()"


@dataclass
class System:
    """A `dynamo up` that was started."""

    data: Path
    output: Path
    process: "subprocess.Popen[bytes]" = field(repr=False)

    @property
    def said(self) -> str:
        """Return what it has printed so far."""
        return self.output.read_text()

    @property
    def running(self) -> Running:
        """Return what it says of itself."""
        found = run_file.read(self.data)
        assert found is not None, self.said
        return found

    @property
    def address(self) -> str:
        """Return the base of its API, once it is ready."""
        return self.running.address

    def wait_for(self, line: str, seconds: float = 60) -> None:
        """Wait until it has printed a line that begins so."""
        eventually(lambda: any(said.startswith(line) for said in self.said.splitlines()), seconds)

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Signal it and return its exit code."""
        self.process.send_signal(number)
        return self.process.wait(60)


def start(data: Path, port: int = 0, env: Mapping[str, str] | None = None) -> System:
    """Start `dynamo up` without waiting for it."""
    handle, name = tempfile.mkstemp(".out", "up-", data.parent)
    os.close(handle)
    output = Path(name)
    command = [sys.executable, "-c", DYNAMO, "up", "--data", str(data), "--port", str(port)]
    return System(data, output, spawn(command, output, {**os.environ, **(env or {})}, Path("/")))


@contextmanager
def up(data: Path, env: Mapping[str, str] | None = None) -> Iterator[System]:
    """Run a system until the block ends; it is ready when the block begins."""
    system = start(data, env=env)
    try:
        system.wait_for("ready http://127.0.0.1:")
        yield system
    finally:
        stop(system.process, signal.SIGTERM, 60)


def eventually(holds: Callable[[], object], seconds: float = 30) -> None:
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.05)


def family(pid: int) -> set[int]:
    """Return all processes that descend from one."""
    found: set[int] = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
        if parent == pid:
            child = int(stat.parent.name)
            found |= {child} | family(child)
    return found


def alive(pids: set[int]) -> set[int]:
    """Return those of the processes that still run."""
    return {pid for pid in pids if _state(pid) not in {"", "Z", "X"}}


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""
