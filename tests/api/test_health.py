"""Health and metrics: what answers, what beats, how much waits."""

import pytest
import redis

import celeryconfig
from dynamo.db.engine.connection import connect
from dynamo.db.engine.unit_of_work import UnitOfWork
from dynamo.db.tables import Pulse
from dynamo.errors import Unavailable
from dynamo.queues.depths import Depths
from dynamo.queues.publisher import quick_app
from tests.api.web import Web, booking
from tests.conftest import Clock
from tests.servers import Broker as Redis


def _beat(web: Web) -> None:
    with web.world.ctx.begin() as work:
        work.add(Pulse, name="sweep", at=work.now)


def test_all_is_well_while_the_beat_is_young(web: Web, clock: Clock) -> None:
    _beat(web)
    web.broker.depth = {"copy": 3}
    assert web.get("/v1/health", by=None) == {
        "status": "ok",
        "database": "ok",
        "broker": "ok",
        "beat": "ok",
        "queues": {"copy": 3},
        "warnings": [],
    }
    clock.forward(seconds=91)
    assert web.get("/v1/health", by=None)["beat"] == "away"
    assert web.get("/v1/health", by=None)["status"] == "degraded"


def test_without_a_broker_all_is_only_slower(web: Web) -> None:
    _beat(web)
    web.broker.up = False
    shown = web.get("/v1/health", by=None)
    assert (shown["status"], shown["broker"], shown["queues"]) == ("degraded", "away", {})


def test_without_a_database_nothing_goes(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    away = UnitOfWork(connect("mysql+pymysql://dynamo:hush@127.0.0.1:1/dynamo"))
    monkeypatch.setattr(web.world.ctx.begin, "engine", away.engine)
    answer = web.call("GET", "/v1/health", by=None)
    assert (answer.status_code, answer.get_json()["status"]) == (503, "down")
    assert int(answer.headers["Retry-After"]) > 0


def test_metrics_count_files_operations_and_calls(web: Web) -> None:
    web.post("/v1/injections", booking("a", "b"))
    web.get("/v1/sites/T2_A")
    text = web.call("GET", "/metrics").get_data(as_text=True)
    assert "dynamo_files 2.0" in text
    assert 'dynamo_operations{kind="transfer",state="queued"} 2.0' in text
    assert 'dynamo_operation_age_oldest_seconds{kind="deletion"} 0.0' in text
    assert 'route="/v1/sites/<name>",status="200"' in text
    assert "T2_A" not in text
    assert "alice" not in text


def test_queue_depths_are_those_of_the_broker(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = quick_app(celeryconfig)
    app.conf.broker_url = redis_url
    client = redis.Redis.from_url(redis_url)
    client.lpush("copy", "a", "b")
    found = Depths(app).depths()
    assert found["copy"] == 2
    assert found["delete"] == 0


def test_a_broker_that_is_away_is_told_at_once(broker: Redis) -> None:
    app = quick_app(celeryconfig)
    app.conf.broker_url = broker.url
    broker.stop()
    with pytest.raises(Unavailable):
        Depths(app).depths()
