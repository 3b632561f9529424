"""A system that the command can find: the real API on a loopback port, workers when asked for."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import Engine
from structlog.testing import capture_logs
from typer.testing import CliRunner, Result
from werkzeug.serving import make_server

from api.app import create_app
from dynamo.cli.main import app
from dynamo.db.engine.unit_of_work import UnitOfWork
from dynamo.operations.hints import Hint
from dynamo.running import run_file
from dynamo.running.data_directory import Layout
from dynamo.running.run_file import Running
from tests.api.web import Broker
from tests.services.world import World, build


@dataclass
class House:
    """A data directory on which a system runs, its world, and the command."""

    data: Path
    address: str
    world: World

    def run(self, *words: str, as_user: str | None = "alice", typed: str | None = None) -> Result:
        """Run the command on this system; without `as_user` the login name calls."""
        named = [] if as_user is None else ["--as", as_user]
        return CliRunner().invoke(app, ["--data", str(self.data), *named, *words], input=typed)

    def output(self, site: str, name: str, content: bytes = b"events") -> str:
        """Write a job's output where the site may read it, and return its path."""
        return self.world.output(site, name, content).removeprefix("file://")

    @contextmanager
    def working(self) -> Iterator[None]:
        """Let the pools work as long as the block lasts."""
        over = threading.Event()

        def work() -> None:
            while not over.wait(0.02):
                self.world.work()

        worker = threading.Thread(target=work)
        worker.start()
        try:
            yield
        finally:
            over.set()
            worker.join()


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Hide the tokens and settings of whoever runs the tests."""
    for name in ("BEARER_TOKEN", "BEARER_TOKEN_FILE", "DYNAMO_URL", "DYNAMO_DATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "nowhere"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def house(tmp_path: Path, _sqlite: Engine) -> Iterator[House]:
    """A system on SQLite with two sites."""
    published: list[Hint] = []
    world = build(
        UnitOfWork(_sqlite, published.extend), tmp_path, published, block={"max_files": 5}
    )
    for name in ("T2_A", "T2_B"):
        world.site(name)
    server = make_server("127.0.0.1", 0, create_app(world.ctx, Broker()), threaded=True)
    address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    layout = Layout(tmp_path)
    layout.make()
    try:
        # the service's logs are not what the command says
        with run_file.alone(layout), capture_logs():
            url = f"sqlite:///{tmp_path}/inventory.db"
            found = Running(address=address, flower="", database=url, broker="", pid=1, pids={})
            run_file.write(layout, found)
            yield House(tmp_path, address, world)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
