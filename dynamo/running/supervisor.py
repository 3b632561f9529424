"""Supervises programs: starts them, restarts them when they die, stops them in order."""

import contextlib
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from dynamo.running.log_rotation import Rotation
from dynamo.running.process import send, spawn
from dynamo.running.programs import Program

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
STEADY = 30.0
"""Seconds of running after which earlier deaths no longer count."""


@dataclass
class Child:
    """A program and its current process."""

    program: Program
    process: "subprocess.Popen[bytes]"
    started: float
    deaths: int = 0
    """Consecutive deaths."""
    again: float | None = None
    """Time of the restart of a dead program; None = alive."""

    @property
    def alive(self) -> bool:
        """Return whether the program was alive at the last check."""
        return self.again is None


class Supervisor:
    """Supervises the programs of one system."""

    def __init__(
        self,
        logs: Path,
        env: Mapping[str, str],
        say: Callable[[str], None],
        rotation: Rotation = Rotation(),  # noqa: B008 - a value
    ) -> None:
        self._logs = logs
        self._rotation = rotation
        self._env = env
        self._say = say
        self._children: list[Child] = []

    def start(self, programs: Iterable[Program]) -> None:
        """Start programs, all at once."""
        for program in programs:
            self._children.append(Child(program, self._spawn(program), time.monotonic()))

    def watch(self) -> bool:
        """Check all programs and restart dead ones; return whether a process changed."""
        for child in self._children:
            self._rotation.apply(self.log(child.program.name))
        now = time.monotonic()
        return sum(self._look(child, now) for child in self._children) > 0  # every one

    def stop(self) -> None:
        """Stop all programs, stage by stage."""
        in_order = sorted(self._children, key=lambda child: child.program.stage)
        for _, stage in groupby(in_order, key=lambda child: child.program.stage):
            _stop_all(list(stage))
        self._children.clear()

    @property
    def pids(self) -> dict[str, int]:
        """Return the process ids of live programs, by name."""
        return {child.program.name: child.process.pid for child in self._children if child.alive}

    def hopeless(self, deaths: int) -> list[str]:
        """Return the names of programs that died that often in a row."""
        return [child.program.name for child in self._children if child.deaths >= deaths]

    def log(self, name: str) -> Path:
        """Return the log file of a program."""
        return self._logs / f"{name}.log"

    def _spawn(self, program: Program) -> "subprocess.Popen[bytes]":
        env = {**self._env, **program.env}
        return spawn(program.command, self.log(program.name), env, self._logs.parent)

    def _look(self, child: Child, now: float) -> bool:
        if child.alive and child.process.poll() is not None:
            self._bury(child, now)
            return True
        if child.again is not None and child.again <= now:
            child.process, child.started, child.again = self._spawn(child.program), now, None
            self._say(f"{child.program.name}: started again as process {child.process.pid}")
            return True
        return False

    def _bury(self, child: Child, now: float) -> None:
        """Kill the remains of a dead program and set its restart, later each time."""
        send(child.process, signal.SIGKILL)
        child.deaths = 1 if now - child.started > STEADY else child.deaths + 1
        pause = min(FIRST_PAUSE * 2 ** (child.deaths - 1), LONGEST_PAUSE)
        child.again = now + pause
        name, code = child.program.name, child.process.returncode
        self._say(f"{name}: ended {_how(code)}, again in {pause:g} s; see {self.log(name)}")


def _how(code: int) -> str:
    return f"by signal {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"


def _stop_all(children: list[Child]) -> None:
    """Ask all to end at the same time, and kill those that exceed their grace."""
    for child in children:
        if child.process.poll() is None:
            child.process.send_signal(child.program.farewell)
    asked = time.monotonic()
    for child in children:
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.process.wait(max(0.0, asked + child.program.grace - time.monotonic()))
        send(child.process, signal.SIGKILL)
        child.process.wait()
