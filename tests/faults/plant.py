"""A plant: a small world on MariaDB whose pools are real processes on a real Redis."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

import celeryconfig
from dynamo.db.engine.unit_of_work import UnitOfWork
from dynamo.queues.publisher import publisher, quick_app
from dynamo.running import programs
from dynamo.running.process import spawn, stop
from dynamo.tasks import QUEUES
from tests.servers import Broker
from tests.services.world import World, build

SETTINGS: dict[str, dict[str, Any]] = {
    "block": {"max_files": 50},
    "deletion": {"grace_hours": 0},
    "lease": {"seconds": 2, "heartbeat": 0.4, "lost": 20},
    "retry": {"first_seconds": 0.2, "longest_seconds": 0.5, "daily_seconds": 1},
    "work": {"sweep_seconds": 0.4, "hint_seconds": 0.8, "batch": 40},
}
"""All that takes half a minute or more in a real system, made short."""

SKEWED = """
import runpy, sys, time
seconds, right = float(sys.argv.pop(1)), time.time
time.time = lambda: right() + seconds
runpy.run_module("celery", run_name="__main__")
"""
"""Celery with a wrong clock. Not by libfaketime, which breaks Python's waits; `datetime.now`, which
this leaves right, is asked nowhere (`test_clocks.py`)."""

ALL = QUEUES


@dataclass
class Worker:
    """One pool: a process with threads."""

    process: "subprocess.Popen[bytes]" = field(repr=False)
    log: Path

    def kill(self) -> None:
        """Kill it as `kill -9` and the kernel do."""
        stop(self.process, signal.SIGKILL, 5)

    def freeze(self) -> None:
        """Stop it between two instructions, as a machine that swaps does."""
        self.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED)  # its threads go on for a moment

    def thaw(self) -> None:
        """Let it go on as if nothing had happened."""
        self.process.send_signal(signal.SIGCONT)

    @property
    def said(self) -> str:
        """Return its log."""
        return self.log.read_text(errors="replace")


@dataclass
class Plant:
    """A world, its queues and the processes that work on them."""

    world: World
    broker: Broker
    env: Mapping[str, str]
    workers: list[Worker] = field(default_factory=list)

    def start(self, *queues: str, threads: int = 4) -> Worker:
        """Start a pool of some queues (none named = all) as `dynamo up` does."""
        name, command = self._pool(queues, threads)
        return self._run(command, name)

    def start_skewed(self, seconds: float) -> Worker:
        """Start a pool whose clock is wrong by so much."""
        name, (python, _module, _celery, *words) = self._pool((), 4)
        return self._run((python, "-c", SKEWED, str(seconds), *words), name)

    def _pool(self, queues: tuple[str, ...], threads: int) -> tuple[str, tuple[str, ...]]:
        name = f"pool{len(self.workers)}"
        return name, programs.pool(programs.Pool(name, queues or ALL, threads, "test")).command

    def beat(self) -> Worker:
        """Start the clock that triggers sweeps."""
        name = f"beat{len(self.workers)}"
        schedule = self.world.folder / f"{name}.schedule"
        return self._run(programs.beat(schedule).command, name)

    def sweep(self) -> None:
        """Do what beat triggers: look for lost work."""
        self.world.run("sweep")

    def until(self, holds: Callable[[], object], seconds: float = 60) -> None:
        """Sweep as beat would until something holds."""
        end = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < end, f"it did not come true\n{self._logs()}"
            self.sweep()
            time.sleep(0.1)

    def until_done(self, *requests: tuple[str, int], seconds: float = 60) -> None:
        """Sweep until requests are done."""
        self.until(lambda: all(self.state(*request) == "done" for request in requests), seconds)

    def state(self, kind: str, request_id: int) -> str:
        """Return the state of a request."""
        return str(self.world.request(kind, request_id)["state"])

    def stop(self) -> None:
        """End all processes."""
        for worker in self.workers:
            worker.kill()

    def _run(self, command: tuple[str, ...], name: str) -> Worker:
        log = self.world.folder / f"{name}.log"
        worker = Worker(spawn(command, log, self.env, Path("/")), log)
        self.workers.append(worker)
        return worker

    def _logs(self) -> str:
        return "\n".join(worker.said[-1500:] for worker in self.workers)


def plant(engine: Engine, broker: Broker, folder: Path, **settings: dict[str, Any]) -> Plant:
    """Build a plant of three sites; settings are merged into the short ones."""
    merged = {
        name: {**SETTINGS.get(name, {}), **settings.get(name, {})}
        for name in {*SETTINGS, *settings}
    }
    app = quick_app(celeryconfig)
    app.conf.broker_url = broker.url
    world = build(UnitOfWork(engine, publisher(app)), folder, [], **merged)
    for site in ("T2_A", "T2_B", "T2_C"):
        world.site(site)
    env = {
        f"DYNAMO_{section}_{name}".upper(): str(value)
        for section, fields in merged.items()
        for name, value in fields.items()
    }
    url = engine.url.render_as_string(hide_password=False)
    return Plant(
        world, broker, programs.environment({**os.environ, **env}, folder, url, broker.url)
    )


def quickly(holds: Callable[[], object], seconds: float = 30) -> None:
    """Wait until something holds that may soon be over."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.001)
