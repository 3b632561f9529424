"""A whole system: its addresses, start, supervision and stop."""

import os
import secrets
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass

import redis
from sqlalchemy import make_url

from dynamo.errors import Unavailable
from dynamo.running import broker, programs, run_file
from dynamo.running.data_directory import Layout
from dynamo.running.ports import LOOPBACK
from dynamo.running.programs import Pool
from dynamo.running.readiness import Readiness
from dynamo.running.run_file import Running
from dynamo.running.signals import Signals
from dynamo.running.supervisor import Supervisor

DEATHS = 4
"""Consecutive deaths of a program before readiness at which the start is given up."""

REMINDER = 10.0
"""Seconds between two messages about missing parts."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Addresses:
    """The addresses of the parts of a system."""

    database_url: str
    broker_url: str
    port: int
    flower_port: int

    @property
    def api(self) -> str:
        """Return the base of the REST API."""
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def flower(self) -> str:
        """Return the address of the operators' view."""
        return f"http://{LOOPBACK}:{self.flower_port}"

    @property
    def database(self) -> str:
        """Return the URL of the inventory without its password."""
        return make_url(self.database_url).render_as_string(hide_password=True)

    @property
    def broker(self) -> str:
        """Return the URL of the broker without its password."""
        return make_url(self.broker_url).render_as_string(hide_password=True)


class System:
    """The programs of a data directory and their addresses."""

    def __init__(self, layout: Layout, at: Addresses, supervisor: Supervisor, say: Say) -> None:
        self._layout = layout
        self._at = at
        self._supervisor = supervisor
        self._say = say

    def start_broker(self, signals: Signals) -> None:
        """Start the bundled broker and wait until it answers."""
        address = self._layout.socket()
        address.unlink(missing_ok=True)  # left behind by a killed broker
        command = broker.command(address, self._layout.broker)
        self._supervisor.start([programs.broker(command)])
        with closing(redis.Redis(unix_socket_path=str(address), socket_timeout=2)) as client:
            while not signals.ending and not _answers(client):
                self._give_up_if_hopeless()
                signals.wait(0.01)

    def start(self, pools: Sequence[Pool]) -> None:
        """Start all other programs at once."""
        self._supervisor.start(
            [
                programs.api(self._at.port),
                *map(programs.pool, pools),
                programs.beat(self._layout.schedule),
                programs.flower(self._at.flower_port, password(self._layout)),
            ]
        )

    def await_ready(self, signals: Signals, pools: Sequence[Pool]) -> None:
        """Wait until the API answers and every pool takes work, then report the address."""
        readiness = Readiness(self._at.api, self._at.broker_url, [pool.node for pool in pools])
        remind = time.monotonic() + REMINDER
        while not signals.ending and (missing := readiness.missing()):
            self._give_up_if_hopeless()
            if time.monotonic() > remind:
                self._say(f"still waiting for {', '.join(missing)}; see {self._layout.logs}")
                remind += REMINDER
            signals.wait(0.05)
        if not signals.ending:
            self._record()
            self._say(f"ready {self._at.api}")

    def keep(self, signals: Signals) -> None:
        """Supervise until a signal asks to end."""
        while not signals.ending:
            if self._supervisor.watch():
                self._record()
            signals.wait(0.5)

    def stop(self) -> None:
        """Stop all programs; only data remain."""
        self._layout.record.unlink(missing_ok=True)
        self._supervisor.stop()
        self._layout.forget_socket()

    def _record(self) -> None:
        running = Running(
            address=self._at.api,
            flower=self._at.flower,
            database=self._at.database,
            broker=self._at.broker,
            pid=os.getpid(),
            pids=self._supervisor.pids,
        )
        run_file.write(self._layout, running)

    def _give_up_if_hopeless(self) -> None:
        self._supervisor.watch()
        for name in self._supervisor.hopeless(DEATHS):
            lines = self._supervisor.log(name).read_text(errors="replace").splitlines()[-15:]
            raise Unavailable(f"{name} does not start; the end of its log:\n" + "\n".join(lines))


def password(layout: Layout) -> str:
    """Return the password of Flower, created at the first start."""
    path = layout.flower_password
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(24) + "\n")
    return path.read_text().strip()


def _answers(client: redis.Redis) -> bool:
    """Return whether the broker has loaded its data and takes commands."""
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False
