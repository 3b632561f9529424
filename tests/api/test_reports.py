"""Accesses and demands over REST."""

from typing import Any

import pytest

from tests.api.web import Web, problem
from tests.steps.official import RAW, block, dataset

PROD = {"by": "prod", "roles": ("production",)}
OPERATOR = {"by": "op", "roles": ("operator",)}


def test_accesses_and_demands_are_reported_as_often_as_one_likes(web: Web) -> None:
    web.post("/v1/datasets", dataset(block("b1")), **PROD)
    read = {"dataset": RAW, "site": "T2_A", "date": "2026-11-21", "accesses": 7, "cpu_seconds": 1}
    jobs = {"dataset": RAW, "jobs": 12, "since": "2026-11-22T10:00:00Z"}
    for _ in range(2):
        for path, body in (("/v1/accesses", [read]), ("/v1/demands", [jobs])):
            answer = web.post(path, body, **OPERATOR)
            assert (answer.status_code, answer.get_json()) == (200, {"reported": 1})


@pytest.mark.parametrize(
    ("path", "change", "status"),
    [
        ("accesses", {"date": "2026-11-24"}, 422),
        ("accesses", {"date": "2026-02-30"}, 422),
        ("accesses", {"date": "2026-11-21T00:00:00Z"}, 422),
        ("accesses", {"accesses": -1}, 422),
        ("accesses", {"accesses": 2**63}, 422),
        ("accesses", {"cpu_seconds": -0.5}, 422),
        ("accesses", {"dataset": "/no/such/DATA"}, 404),
        ("accesses", {"dataset": "/nö/such/DATA"}, 422),
        ("accesses", {"site": "T9"}, 404),
        ("demands", {"jobs": 1.5}, 422),
        ("demands", {"since": "2026-11-22"}, 422),
        ("demands", {"since": "2027-11-22T00:00:00Z"}, 422),
        ("demands", {"dataset": "/no/such/DATA"}, 404),
        ("demands", {"since": "0001-01-01T00:00:00+12:00"}, 422),
    ],
)
def test_reports_that_cannot_be_meant_are_refused(
    web: Web, path: str, change: dict[str, Any], status: int
) -> None:
    web.post("/v1/datasets", dataset(block("b1")), **PROD)
    good = {
        "accesses": {"dataset": RAW, "site": "T2_A", "date": "2026-11-21", "accesses": 7},
        "demands": {"dataset": RAW, "jobs": 1, "since": "2026-11-22T10:00:00Z"},
    }[path]
    problem(web.post(f"/v1/{path}", [{**good, **change}], **OPERATOR), status)
    problem(web.post(f"/v1/{path}", [good, good], **OPERATOR), 422)
    problem(web.post(f"/v1/{path}", [], **OPERATOR), 422)
    problem(web.post(f"/v1/{path}", good, **OPERATOR), 422)
