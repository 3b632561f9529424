"""Keeps programs running: starts them, starts them again when they die, stops them in order."""

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
"""Seconds after which a program that runs is no longer held for one that dies again and again."""


@dataclass
class Child:
    """A program and the process that runs it now."""

    program: Program
    process: "subprocess.Popen[bytes]"
    started: float
    deaths: int = 0
    """In a row."""
    again: float | None = None
    """When it is started again, once it has died."""

    @property
    def alive(self) -> bool:
        """Tell whether it was alive when it was last looked at."""
        return self.again is None


class Supervisor:
    """The programs of one system."""

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
        """Look once; start again what died. Returns whether a process has changed."""
        for child in self._children:
            self._rotation.apply(self.log(child.program.name))
        now = time.monotonic()
        return sum(self._look(child, now) for child in self._children) > 0  # every one

    def stop(self) -> None:
        """Stop all, stage by stage; nothing is left afterwards."""
        in_order = sorted(self._children, key=lambda child: child.program.stage)
        for _, stage in groupby(in_order, key=lambda child: child.program.stage):
            _stop_all(list(stage))
        self._children.clear()

    @property
    def pids(self) -> dict[str, int]:
        """Return the process ids of those alive, by name."""
        return {child.program.name: child.process.pid for child in self._children if child.alive}

    def hopeless(self, deaths: int) -> list[str]:
        """Return the names of those that died that often in a row."""
        return [child.program.name for child in self._children if child.deaths >= deaths]

    def log(self, name: str) -> Path:
        """Return where a program writes to."""
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
        """End what a dead program has left, and say when it comes again: ever later."""
        send(child.process, signal.SIGKILL)
        child.deaths = 1 if now - child.started > STEADY else child.deaths + 1
        pause = min(FIRST_PAUSE * 2 ** (child.deaths - 1), LONGEST_PAUSE)
        child.again = now + pause
        name, code = child.program.name, child.process.returncode
        self._say(f"{name}: ended {_how(code)}, again in {pause:g} s; see {self.log(name)}")


def _how(code: int) -> str:
    return f"by signal {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"


def _stop_all(children: list[Child]) -> None:
    """Ask all to end at the same time, and end those that do not in theirs."""
    for child in children:
        if child.process.poll() is None:
            child.process.send_signal(child.program.farewell)
    asked = time.monotonic()
    for child in children:
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.process.wait(max(0.0, asked + child.program.grace - time.monotonic()))
        send(child.process, signal.SIGKILL)
        child.process.wait()
