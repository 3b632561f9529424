"""A private system for the demonstration: `dynamo up` as a child process."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from dynamo.errors import Unavailable
from dynamo.running import run_file
from dynamo.running.process import spawn, stop
from dynamo.running.run_file import Running

START_SECONDS = 90.0
STOP_SECONDS = 45.0

HASTE = {
    # small blocks and short leases: the usual rules take effect within minutes
    "DYNAMO_BLOCK_MAX_FILES": "25",
    "DYNAMO_LEASE_SECONDS": "6",
    "DYNAMO_LEASE_HEARTBEAT": "2",
    "DYNAMO_RETRY_FIRST_SECONDS": "1",
    "DYNAMO_WORK_SWEEP_SECONDS": "2",
    "DYNAMO_WORK_HINT_SECONDS": "4",
    "DYNAMO_WORK_BATCH": "10",
}


class Demonstrated:
    """The running system."""

    def __init__(self, data: Path, process: "subprocess.Popen[bytes]") -> None:
        self.data = data
        self._process = process

    @property
    def running(self) -> Running:
        """Return the record of the running system. Raises Unavailable."""
        record = run_file.read(self.data)
        if record is None:
            raise Unavailable(f"the system on {self.data} does not run; see {self.data / 'logs'}")
        return record

    def kill(self, pool: str) -> int:
        """Kill a worker pool as a power cut would; return its process id."""
        pid = self.running.pids[pool]
        os.kill(pid, signal.SIGKILL)
        return pid

    def stop(self) -> list[str]:
        """Stop the system as Ctrl-C does; return errors: an exit code, or processes left."""
        self._process.send_signal(signal.SIGINT)
        try:
            code = self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            return [f"dynamo up did not end within {STOP_SECONDS:.0f} s"]
        errors = [f"dynamo up ended with exit code {code}"] if code else []
        return errors + [
            f"process {pid} was left behind: {words}" for pid, words in left(self.data)
        ]


@contextmanager
def started(data: Path, environment: Mapping[str, str]) -> Iterator[Demonstrated]:
    """Run a system on a free port until the block ends."""
    log = data.parent / "up.log"
    command = [sys.executable, "-m", "dynamo.cli.main", "up", "--data", str(data), "--port", "0"]
    process = spawn(command, log, {**os.environ, **HASTE, **environment})
    try:
        end = time.monotonic() + START_SECONDS
        while not any(line.startswith("ready ") for line in log.read_text().splitlines()):
            if process.poll() is not None or time.monotonic() > end:
                raise Unavailable(f"the system did not come up:\n{log.read_text()[-2000:]}")
            time.sleep(0.05)
        yield Demonstrated(data, process)
    finally:
        stop(process, signal.SIGTERM, STOP_SECONDS)


def left(data: Path) -> list[tuple[int, str]]:
    """Return the running processes that were started for a data directory."""
    mark = f"DYNAMO_DATA={data}".encode()
    processes = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            started_here = mark in (folder / "environ").read_bytes().split(b"\0")
            words = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:  # it ended, or belongs to another user
            continue
        if started_here and int(folder.name) != os.getpid():
            processes.append((int(folder.name), words.strip()))
    return processes


def writes_below(pid: int, folder: Path, least: int) -> bool:
    """Return whether a process is writing a file of at least this size below a folder."""
    for handle in Path(f"/proc/{pid}/fd").glob("*"):
        try:
            path = handle.readlink()
            if path.is_relative_to(folder) and path.stat().st_size >= least:
                return True
        except OSError:  # closed meanwhile
            continue
    return False
