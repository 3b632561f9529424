"""What each call puts on which queue, on fakeredis; and calls whose message is lost."""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import kombu.pools
import pytest
from celery.signals import before_task_publish
from fakeredis import FakeRedisConnection, FakeServer, FakeStrictRedis
from kombu.transport.redis import Channel
from sqlalchemy import Engine

import celeryconfig
from api.app import create_app
from dynamo.db.engine.unit_of_work import UnitOfWork
from dynamo.queues.depths import Depths
from dynamo.queues.publisher import publisher, quick_app
from dynamo.task_runner import TaskRunner
from dynamo.tasks import QUEUES
from tests.api.web import Web
from tests.conftest import Clock
from tests.faults import scenario
from tests.faults.endings import assert_all_ended, described
from tests.services.world import DATASET, lfn
from workers.app import app as pools


@dataclass
class Service:
    """The API over a small world, and its pools, on one pretended Redis."""

    web: Web
    clock: Clock
    server: FakeServer
    redis: FakeStrictRedis

    def waiting(self) -> list[tuple[str, dict[str, Any]]]:
        """Return queue and raw message of all that waits."""
        return [
            (queue, json.loads(raw)) for queue in QUEUES for raw in self.redis.lrange(queue, 0, -1)
        ]

    def work(self) -> None:
        """Let the pools take messages until there is none."""
        while (message := self._next()) is not None:
            args, kwargs, _ = body(message)
            pools.tasks[message["headers"]["task"]].apply(
                args, kwargs, headers={"request_id": message["headers"]["request_id"]}, throw=True
            )

    def _next(self) -> dict[str, Any] | None:
        self.server.connected = True  # a cut is over when somebody looks
        found = self.redis.brpop(QUEUES, timeout=0.001)
        return None if found is None else json.loads(found[1])

    def settle(self) -> None:
        """Let the pools work, then beat find what was lost."""
        self.work()
        for _ in range(3):
            self.clock.forward(minutes=2)
            pools.tasks["sweep"].apply(throw=True)
            self.work()

    def post(self, path: str, wanted: object) -> int:
        """Ask for something; it is accepted."""
        answer = self.web.post(path, wanted, headers={"X-Request-ID": "job-17"})
        assert answer.status_code == 202, answer.get_data(as_text=True)
        return int(answer.get_json()["id"])


def body(message: dict[str, Any]) -> tuple[list[Any], dict[str, Any], dict[str, Any]]:
    """Return arguments, named arguments and the rest of a message."""
    assert message["content-type"] == "application/json"
    args, kwargs, rest = json.loads(base64.b64decode(message["body"]))
    return args, kwargs, rest


@pytest.fixture
def service(
    engine: Engine, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Service:
    """Everything real but Redis."""
    server = FakeServer()

    class Connection(FakeRedisConnection):
        def __init__(self, *args: Any, **named: Any) -> None:
            super().__init__(*args, **{**named, "server": server})

    monkeypatch.setattr(Channel, "connection_class", Connection)
    kombu.pools.reset()  # connections of the test before
    app = quick_app(celeryconfig)
    world = scenario.stage(UnitOfWork(engine, publisher(app), clock), tmp_path, [])
    monkeypatch.setattr("workers.tasks.task_runner", lambda: TaskRunner.of(world.ctx))
    web = Web(create_app(world.ctx, Depths(app)), world, None)  # type: ignore[arg-type]
    return Service(web, clock, server, FakeStrictRedis(server=server))


def pulled(service: Service, *names: str) -> dict[str, Any]:
    """Describe an injection of outputs that lie in the scratch folder of T2_A."""
    files = [service.web.world.pulled("T2_A", name, name.encode() * 9) for name in names]
    described = [
        {"lfn": f.lfn, "size": f.size, "adler32": f.adler32, "source": f.source} for f in files
    ]
    return {"dataset": DATASET, "site": "T2_A", "files": described}


def booking(content: bytes) -> dict[str, Any]:
    """Describe an injection of a file that the job writes itself."""
    size, checksum = described({"": content})[""]
    return {
        "dataset": DATASET,
        "site": "T2_B",
        "files": [{"lfn": lfn("up.root"), "size": size, "adler32": checksum}],
    }


# --- one message, ids only ------------------------------------------------------------------------

CALLS = {
    "injections": ("inject", "inject"),
    "closures": ("close", "close"),
    "copies": ("plan", "policy"),
    "deletions": ("condemn", "delete"),
}
"""What is asked for → task, queue."""


def wanted(service: Service, plural: str) -> dict[str, Any]:
    """Return a body for a kind of request."""
    bodies = {
        "injections": pulled(service, "b.root"),
        "closures": {"dataset": DATASET},
        "copies": {"dataset": DATASET, "site": "T2_C"},
        "deletions": {"dataset": DATASET},
    }
    return bodies[plural]


def check_message(service: Service, task: str, queue: str, request_id: int) -> None:
    [(found, message)] = service.waiting()
    headers = message["headers"]
    assert (found, headers["task"]) == (queue, task)
    args, kwargs, rest = body(message)
    assert (args, kwargs) == ([[request_id]], {})
    assert not any(rest.values())
    assert headers["request_id"] == "job-17"
    assert f"request {request_id}" in headers["argsrepr"]  # a sentence, not a list of numbers
    assert "[" not in headers["argsrepr"]
    assert headers["eta"] is None
    assert headers["ignore_result"] is True


@pytest.mark.parametrize("plural", CALLS)
def test_a_call_puts_one_message_with_ids_only_on_its_queue(service: Service, plural: str):
    service.post("/v1/injections", pulled(service, "a.root"))
    service.work()

    request_id = service.post(f"/v1/{plural}", wanted(service, plural))

    check_message(service, *CALLS[plural], request_id)


def test_a_confirmation_puts_one_message_with_ids_only_on_its_queue(service: Service):
    request_id = service.post("/v1/injections", booking(b"uploaded"))
    service.work()

    service.post(f"/v1/injections/{request_id}/uploaded", {})

    check_message(service, "inject", "inject", request_id)


def test_a_call_that_is_refused_puts_nothing_on_any_queue(service: Service):
    answer = service.web.post("/v1/injections", {**pulled(service, "a.root"), "site": "T2_X"})

    assert answer.status_code == 404
    assert service.waiting() == []


def test_the_id_of_the_call_travels_into_the_history_of_what_its_work_did(service: Service):
    service.post("/v1/injections", pulled(service, "a.root"))
    service.work()

    entries = service.web.items(f"/v1/history?dataset={DATASET}")
    assert {entry["what"] for entry in entries} >= {"injected", "arrived"}
    assert {entry["request_id"] for entry in entries} == {"job-17"}


# --- messages that are lost -----------------------------------------------------------------------


def tell(service: Service) -> None:
    """Inject, upload, close, gather, copy, delete, each by a call."""
    service.post("/v1/injections", pulled(service, *(f"a{n}" for n in range(7))))
    service.settle()
    booked = service.post("/v1/injections", booking(b"uploaded"))
    service.settle()
    service.web.world.upload(booked, b"uploaded")
    service.post(f"/v1/injections/{booked}/uploaded", {})
    service.settle()
    service.post("/v1/closures", {"dataset": DATASET})
    service.settle()
    service.post("/v1/copies", {"dataset": DATASET, "site": "T2_C"})
    service.settle()
    service.post("/v1/copies", {"dataset": DATASET, "site": "T2_A", "consolidate": False})
    service.settle()
    service.post("/v1/deletions", {"dataset": DATASET, "site": "T2_A"})
    service.settle()
    service.post("/v1/deletions", {"dataset": DATASET, "lfns": [lfn("a0"), lfn("up.root")]})
    service.settle()


def check_end(service: Service) -> None:
    left = {lfn(f"a{n}"): f"a{n}".encode() * 9 for n in range(1, 7)}
    assert scenario.disks(service.web.world) == {"T2_A": {}, "T2_B": {}, "T2_C": described(left)}
    assert service.web.world.used("alice") == 6 * 18
    assert_all_ended(service.web.world)


MESSAGES = 18
"""Messages of the whole story when none is lost."""


class Cut:
    """Cuts the broker off at the k-th message of all, for that message alone."""

    def __init__(self, server: FakeServer, k: int) -> None:
        self.server = server
        self.k = k
        self.sent = 0

    def __call__(self, **_: object) -> None:
        self.sent += 1
        self.server.connected = self.sent != self.k


@pytest.fixture
def cut(service: Service, request: pytest.FixtureRequest) -> Iterator[Cut]:
    """Cut at the message that the test's parameter names."""
    cut = Cut(service.server, request.param)
    before_task_publish.connect(cut)
    yield cut
    before_task_publish.disconnect(cut)
    service.server.connected = True


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
@pytest.mark.parametrize("cut", range(1, MESSAGES + 1), indirect=True)
def test_whichever_message_is_lost_all_is_accepted_and_done(service: Service, cut: Cut):
    tell(service)

    assert cut.sent >= cut.k
    check_end(service)


@pytest.mark.parametrize("cut", [0], indirect=True)
def test_the_story_has_no_more_messages_than_are_lost_above(service: Service, cut: Cut):
    tell(service)

    assert cut.sent <= MESSAGES
    check_end(service)


def test_all_is_accepted_while_the_broker_is_away_and_done_when_it_is_back(service: Service):
    service.server.connected = False
    service.post("/v1/injections", pulled(service, *(f"a{n}" for n in range(7))))
    booked = service.post("/v1/injections", booking(b"uploaded"))
    service.web.world.upload(booked, b"uploaded")
    service.post(f"/v1/injections/{booked}/uploaded", {})
    service.post("/v1/closures", {"dataset": DATASET})
    service.post("/v1/copies", {"dataset": DATASET, "site": "T2_C"})
    service.post("/v1/deletions", {"dataset": DATASET, "lfns": [lfn("a0"), lfn("up.root")]})

    service.server.connected = True
    service.settle()

    check_end(service)
