"""Child processes: each has its own session and log, and never outlives its parent."""

import contextlib
import ctypes
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


def die_with_parent() -> None:
    """Ask the kernel to kill this process when the thread that started it ends."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def spawn(
    command: Sequence[str | Path],
    log: Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> "subprocess.Popen[bytes]":
    """Start a program that inherits only its environment.

    Its output goes to `log`, as an inherited pipe would keep the reader of the pipe waiting.
    """
    parent = os.getpid()

    def prepare() -> None:
        die_with_parent()
        if os.getppid() != parent:  # the parent died before the kernel was asked
            os._exit(1)

    with log.open("ab") as output:
        return subprocess.Popen(  # noqa: S603 - fixed commands, never a shell
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=None if env is None else dict(env),
            cwd=cwd,
            start_new_session=True,
            preexec_fn=prepare,  # noqa: PLW1509 - only a prctl and a getppid, without locks
        )


def send(process: "subprocess.Popen[bytes]", number: signal.Signals) -> None:
    """Send a signal to a process and its process group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def stop(process: "subprocess.Popen[bytes]", number: signal.Signals, seconds: float) -> None:
    """Ask a process to end, wait, then kill it and its whole session."""
    if process.poll() is None:
        process.send_signal(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
    send(process, signal.SIGKILL)
    for pid in _of_session(process.pid):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
    process.wait()


def _of_session(session: int) -> Iterator[int]:
    """Yield the processes of a session: a program may give its children own groups."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            _state, _parent, _group, session_id, *_ = stat.read_text().rpartition(")")[2].split()
            if int(session_id) == session:
                yield int(stat.parent.name)
