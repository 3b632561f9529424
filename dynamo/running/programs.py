"""The programs of a system: their commands, environments, and the order of stopping."""

import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path

from dynamo.running.ports import LOOPBACK

_APP = ("-A", "workers.app")
_CELERY = (sys.executable, "-m", "celery", *_APP)


class Stage(IntEnum):
    """Order of stopping: sources of work first, then the workers, then the queues."""

    FRONT = 1
    WORKERS = 2
    BROKER = 3


@dataclass(frozen=True, slots=True)
class Program:
    """A program and how it is stopped."""

    name: str
    command: tuple[str, ...]
    stage: Stage = Stage.FRONT
    farewell: signal.Signals = signal.SIGTERM
    grace: float = 8.0
    """Seconds until it is killed."""
    env: Mapping[str, str] = field(default_factory=dict)
    """Variables of this program alone; secrets never go on a command line."""


@dataclass(frozen=True, slots=True)
class Pool:
    """A worker pool and its queues."""

    name: str
    queues: Sequence[str]
    threads: int
    host: str

    @property
    def node(self) -> str:
        """Return the name of the pool in Celery and Flower."""
        return f"{self.name}@{self.host}"


def broker(command: tuple[str, ...]) -> Program:
    """Return the program of the bundled broker."""
    return Program("broker", command, Stage.BROKER)


def api(port: int, address: str = LOOPBACK) -> Program:
    """Return the program of the REST API."""
    return Program("api", (sys.executable, "-m", "dynamo.running.api_server", str(port), address))


def pool(of: Pool) -> Program:
    """Return the program of a worker pool.

    A warm stop would wait for running copies without end. A cold stop gives them ten seconds;
    another worker takes interrupted work when its lease expires.
    """
    command = (
        *(*_CELERY, "worker", "-Q", ",".join(of.queues), "-P", "threads", "-c", str(of.threads)),
        *("-n", of.node, "--loglevel", "INFO", "--without-mingle", "--without-gossip"),
    )
    return Program(of.name, command, Stage.WORKERS, signal.SIGQUIT, grace=15.0)


def beat(schedule: Path) -> Program:
    """Return the program that triggers periodic tasks."""
    command = (*_CELERY, "beat", "-s", str(schedule), "--pidfile=", "--loglevel", "INFO")
    return Program("beat", command)


def flower(port: int, password: str, address: str = LOOPBACK) -> Program:
    """Return the program of the operators' view of the queues, closed without the password."""
    command = (
        *(sys.executable, "-m", "dynamo.running.flower", *_APP),
        *("flower", f"--address={address}", f"--port={port}"),
    )
    return Program("flower", command, env={"FLOWER_BASIC_AUTH": f"dynamo:{password}"})


def environment(
    inherited: Mapping[str, str], data: Path, database_url: str, broker_url: str
) -> dict[str, str]:
    """Return the environment of all programs."""
    return {
        **inherited,
        "DYNAMO_DATA": str(data),
        "DYNAMO_DATABASE_URL": database_url,
        "DYNAMO_BROKER_URL": broker_url,
    }


def pools(
    queues: Mapping[str, Sequence[str]], threads: Mapping[str, int], host: str
) -> Iterator[Pool]:
    """Return the pools that a table of queues declares."""
    for name, names in queues.items():
        yield Pool(name, tuple(names), threads[name], host)
