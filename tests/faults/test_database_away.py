"""MariaDB that goes down and comes back while pools work and the API takes calls."""

import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pymysql
import pytest

from dynamo.db.engine.connection import connect
from dynamo.db.tables import Base
from dynamo.running.process import spawn, stop
from tests.api.web import Web, booking, problem
from tests.faults.endings import assert_all_ended, described, seen
from tests.faults.plant import Plant, plant, quickly
from tests.faults.site_api import contents, web
from tests.servers import Broker, MariaDB, mariadb, template, wait_until

pytestmark = pytest.mark.slow


@dataclass
class Restartable:
    """A MariaDB that can be shut down and started again on its data."""

    server: MariaDB
    folder: Path

    def shut_down(self) -> None:
        """Stop it in an orderly way."""
        stop(self.server.process, signal.SIGTERM, 30)

    def start(self) -> None:
        """Start it again; its users are there already."""
        command = [str(word) for word in self.server.process.args if "--init-file" not in str(word)]
        log = self.folder / "log"
        self.server = MariaDB(self.server.port, spawn(command, log))
        wait_until(lambda: self.server.connect().close(), log, self.server.process)

    def end(self) -> None:
        """End what was started again."""
        stop(self.server.process, signal.SIGKILL, 5)


@pytest.fixture
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Restartable]:
    """A MariaDB of this test alone."""
    assert request.config.cache is not None
    folder = tmp_path / "mariadb"
    folder.mkdir()
    with mariadb(folder, template(request.config.cache.mkdir)) as server:
        made = Restartable(server, folder)
        yield made
        made.end()


@pytest.fixture
def frail(database: Restartable, broker: Broker, tmp_path: Path) -> Iterator[Plant]:
    """A plant on the database that can be stopped."""
    engine = connect(database.server.create("dynamo_frail"))
    Base.metadata.create_all(engine)
    made = plant(engine, broker, tmp_path)
    yield made
    made.stop()
    engine.dispose()


def check_refused(site: Web) -> None:
    """Check that calls are told to come back."""
    answer = site.post("/v1/injections", booking("later.root"))
    told = problem(answer, 503)
    assert told["retryable"] is True
    assert int(answer.headers["Retry-After"]) > 0
    assert site.call("GET", "/v1/health", by=None).status_code == 503


def test_pools_and_api_go_on_when_the_database_is_back(frail: Plant, database: Restartable):
    world, site = frail.world, web(frail)
    worker, beat = frail.start(), frail.beat()
    requests = [("injection", world.many("T2_A", 150))]
    quickly(lambda: seen(world.folder / "T2_A"))

    database.shut_down()
    with pytest.raises(pymysql.Error):
        database.server.connect()
    for _ in range(3):
        check_refused(site)
        time.sleep(0.3)
    database.start()

    requests += [("injection", world.many("T2_B", 30)), ("closure", world.close())]
    requests.append(("copy", world.copy("T2_C")))
    quickly(lambda: all(frail.state(*request) == "done" for request in requests), 60)
    assert worker.process.poll() is None
    assert beat.process.poll() is None
    assert seen(world.folder / "T2_C") == described(contents("T2_A", 150) | contents("T2_B", 30))
    assert_all_ended(world)
