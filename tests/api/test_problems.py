"""Whatever goes wrong, anywhere, the caller gets a problem, and nothing of the inside."""

import io
import re

import pytest

from api import problems
from dynamo import errors
from dynamo.db.engine.connection import connect
from dynamo.db.engine.unit_of_work import UnitOfWork
from dynamo.db.tables import Base
from tests.api.web import Web, booking, problem

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,100}")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/v2/sites", 404),
        ("GET", "/v1/nothing", 404),
        ("GET", "/v1/datasets//Higgs/x/USER", 404),
        ("GET", "/v1/datasets/Higgs/x/USER", 404),
        ("GET", "/v1/datasets/%2e%2e/%2e%2e/etc", 404),
        ("GET", "/v1/datasets/Higgs/x%00/USER", 404),
        ("GET", "/v1/datasets/Higgs/%F0%9F%98%80/USER", 404),
        ("GET", "/v1/datasets/Higgs/%ff%fe/USER", 404),
        ("GET", "/v1/sites/T9_NOWHERE", 404),
        ("GET", "/v1/sites/%D0%B0", 404),
        ("GET", "/v1/injections/0", 404),
        ("GET", "/v1/injections/-1", 404),
        ("GET", "/v1/injections/1e3", 404),
        ("GET", "/v1/injections/99999999999999999999999", 404),
        ("GET", "/v1/injections/%D9%A3", 404),
        ("DELETE", "/v1/copies/12345", 404),
        ("POST", "/v1/injections/7/uploaded", 404),
        ("GET", "/v1/stagings", 404),
        ("GET", "/v1/partitions/None", 404),
        ("GET", "/v1/quotas/nobody", 404),
        ("GET", "/v1/switches/everything", 404),
        ("GET", "/v1/switches/site:T9", 404),
        ("POST", "/v1/sites", 405),
        ("PATCH", "/v1/sites/T2_A", 405),
        ("DELETE", "/v1/health", 405),
        ("PUT", "/v1/injections", 405),
        ("POST", "/metrics", 405),
        ("BREW", "/v1/sites", 405),
    ],
)
def test_what_is_not_there_is_a_problem(web: Web, method: str, path: str, status: int) -> None:
    answer = web.call(method, path, by="op", roles=("operator",))
    problem(answer, status)
    assert (status == 405) == ("Allow" in answer.headers)


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=1001",
        "limit=-1",
        "limit=x",
        "limit=1.5",
        "limit=%D9%A3",
        "limit=",
        "limt=5",
        "cursor=x",
        "cursor=W10",
        "cursor=WzFd",
        "cursor=WyJcdWQ4MDAiXQ",
        "cursor=%00",
        "cursor=" + "W" * 999,
        "name=%27%20OR%201=1--",
        "name=%25",
        "name=a_b%5C",
        "name=[a-z]*",
        "name=%C3%A9",
        "name=a%00",
        "name=*a*b*c*d*e*f*g*h*i*",
        "name=" + "a" * 501,
        "name=a&name=b",
        "name=%F0%9F%98%80",
        "id=5",
    ],
)
@pytest.mark.parametrize("path", ["/v1/datasets", "/v1/sites"])
def test_an_odd_query_is_422_and_never_500(web: Web, path: str, query: str) -> None:
    answer = web.call("GET", f"{path}?{query}")
    if query == "limit=":
        assert answer.status_code == 200
    else:
        problem(answer, 422)


@pytest.mark.parametrize(
    "path",
    [
        "/v1/files",
        "/v1/files?lfn=/store/*",
        "/v1/files?block=x",
        "/v1/files?block=/a/b/c",
        "/v1/blocks?block=/a/b/c%23%20",
        "/v1/history",
        "/v1/history?lfn=x",
        "/v1/history?site=%25",
        "/v1/history?dataset=/a*",
        "/v1/injections?state=odd",
        "/v1/injections?owner=%C3%A9",
        "/v1/injections?cursor=WyJhIl0",
        "/v1/locations",
        "/v1/datasets?status=odd",
        "/v1/replicas?group=%27",
        "/v1/injections?files=1",
    ],
)
def test_a_filter_that_means_nothing_is_422(web: Web, path: str) -> None:
    problem(web.call("GET", path), 422)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"[" * 9999, 400),
        (b'{"a": NaN}', 400),
        (b'{"a":1,"a":1}', 400),
        (b'{"dataset": 1e999}', 400),
        (b'{"size": 18446744073709551616}', 400),
        (b"\xff", 400),
        (b'{"dataset": "/a/b/c", "x": "\\ud800"}', 400),
        (b"null", 422),
        (b"[]", 422),
        (b"{}", 422),
        (b'{"dataset": "/a/b/c", "x": "\xf0\x9f\x98\x80"}', 422),
        (b'{"dataset": null}', 422),
        (b" " * (16 * 2**20 + 1), 413),
    ],
)
@pytest.mark.parametrize("path", ["injections", "copies", "closures", "deletions"])
def test_an_odd_body_is_4xx(web: Web, path: str, body: bytes, status: int) -> None:
    problem(web.call("POST", f"/v1/{path}", data=body), status)


def test_an_endless_body_is_413(web: Web) -> None:
    chunked = {"wsgi.input_terminated": True, "wsgi.input": io.BytesIO(b" " * (17 * 2**20))}
    answer = web.call("POST", "/v1/closures", environ_overrides=chunked)
    problem(answer, 413, "too-large")


def test_an_encoded_body_is_refused(web: Web) -> None:
    answer = web.call("POST", "/v1/closures", data=b"x", headers={"Content-Encoding": "gzip"})
    problem(answer, 400, "bad-request")


@pytest.mark.parametrize("key", ["", " ", "a b", "é", "x" * 256])
def test_an_odd_idempotency_key_is_400(web: Web, key: str) -> None:
    headers = {"Idempotency-Key": key}
    problem(web.post("/v1/injections", booking("a"), headers=headers), 400)


@pytest.mark.parametrize("given", ["abc-1.2_3", "A" * 100])
def test_a_request_id_is_taken_over(web: Web, given: str) -> None:
    answer = web.call("GET", "/v1/sites", headers={"X-Request-ID": given})
    assert answer.headers["X-Request-ID"] == given


@pytest.mark.parametrize("given", ["", "a b", "x" * 101, "a;b", "<script>", "é"])
def test_an_odd_request_id_is_replaced(web: Web, given: str) -> None:
    answer = web.call("GET", "/v1/nothing", headers={"X-Request-ID": given})
    assert answer.headers["X-Request-ID"] != given
    assert REQUEST_ID.fullmatch(answer.headers["X-Request-ID"])


def test_a_request_id_reaches_the_history(web: Web) -> None:
    web.post("/v1/injections", booking("a"), headers={"X-Request-ID": "job-17"})
    assert web.items("/v1/history?site=T2_A")[0]["request_id"] == "job-17"


def test_a_fault_of_ours_tells_nothing(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise RuntimeError("secret /etc/passwd in SELECT * FROM users")

    monkeypatch.setitem(web.app.view_functions, "metrics", broken)
    answer = web.call("GET", "/metrics")
    assert "secret" not in problem(answer, 500, "internal")["detail"]


def test_a_statement_that_fails_is_500_without_its_text(web: Web) -> None:
    with web.world.ctx.begin() as work:
        work.connection.exec_driver_sql("DROP TABLE switches")
    try:
        answer = web.call("GET", "/v1/switches")
        assert answer.status_code in (500, 503)
        problem(answer, answer.status_code)
        assert "switches" not in answer.get_data(as_text=True)
    finally:
        Base.metadata.tables["switches"].create(web.world.ctx.begin.engine)


def test_every_error_has_a_status(web: Web) -> None:
    kinds = [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, Exception)
    ]
    with web.app.test_request_context("/"):
        for kind in kinds:
            assert problems.handle(kind("it")).mimetype == "application/problem+json"


@pytest.fixture
def without_database(web: Web, monkeypatch: pytest.MonkeyPatch) -> Web:
    """The application after its database went away."""
    away = UnitOfWork(connect("mysql+pymysql://dynamo:hush@127.0.0.1:1/dynamo"))
    monkeypatch.setattr(web.world.ctx.begin, "engine", away.engine)
    return web


@pytest.mark.parametrize(
    "path",
    [
        "/v1/sites",
        "/v1/datasets",
        "/v1/datasets/a/b/c",
        "/v1/files?lfn=/a/b",
        "/v1/injections/1",
        "/metrics",
    ],
)
def test_reading_without_a_database_is_503(without_database: Web, path: str) -> None:
    answer = without_database.call("GET", path)
    problem(answer, 503, "service-busy")
    assert "hush" not in answer.get_data(as_text=True)


def test_asking_and_changing_without_a_database_is_503(without_database: Web) -> None:
    problem(without_database.post("/v1/injections", booking("a")), 503)
    problem(without_database.put("/v1/sites/T2_A", {"status": "ready"}), 503)
    problem(without_database.call("DELETE", "/v1/copies/1"), 503)
