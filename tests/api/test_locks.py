"""Locks over REST."""

from typing import Any

import pytest

from tests.api.web import Web, problem
from tests.steps.official import RAW

OPERATOR = {"by": "op", "roles": ("operator",)}


def test_a_lock_is_set_shown_changed_and_taken_away(web: Web) -> None:
    body = {"item": RAW, "expires": "2026-12-01T00:00:00Z", "sites": ["T2_A"], "why": "thesis"}
    made = web.post("/v1/locks", body, **OPERATOR)
    lock = made.get_json()
    assert (made.status_code, made.headers["Location"]) == (201, f"/v1/locks/{lock['id']}")
    assert {name: lock[name] for name in body} == body
    assert (lock["owner"], lock["groups"]) == ("op", [])
    later = {**body, "expires": "2026-12-31T00:00:00+01:00"}
    again = web.post("/v1/locks", later, **OPERATOR)
    assert (again.status_code, again.get_json()["expires"]) == (200, "2026-12-30T23:00:00Z")

    path = f"/v1/locks/{lock['id']}"
    assert web.get(path) == again.get_json()
    assert web.items(f"/v1/locks?dataset={RAW}&owner=op") == [again.get_json()]
    problem(web.call("DELETE", path), 403)
    assert web.call("DELETE", path, **OPERATOR).get_json() == again.get_json()
    problem(web.call("DELETE", path, **OPERATOR), 404)
    assert web.items("/v1/locks") == []


@pytest.mark.parametrize(
    "change",
    [
        {"expires": "2026-12-01"},
        {"expires": "2026-12-01T00:00:00"},
        {"expires": "2020-01-01T00:00:00Z"},
        {"expires": "9999-12-31T23:59:59-12:00"},
        {"expires": "0001-01-01T00:00:00+12:00"},
        {"expires": 5},
        {"item": "/ä/b/c"},
        {"item": "*" * 400},
        {"item": "/*a*a*a*a*a*a*a*a*a*a"},
        {"sites": "T2_A"},
        {"sites": ["T2_Ä"]},
        {"lock": True},
    ],
)
def test_an_impossible_lock_is_refused(web: Web, change: dict[str, Any]) -> None:
    body = {"item": RAW, "expires": "2026-12-01T00:00:00Z", **change}
    answer = web.post("/v1/locks", body, **OPERATOR)
    if change.get("item") == "*" * 400:
        assert answer.get_json()["item"] == "*"
    else:
        problem(answer, 422)


@pytest.mark.parametrize("name", ["x", "-1", "99999999999999999999", "%D9%A1"])
def test_a_lock_has_a_number(web: Web, name: str) -> None:
    problem(web.call("GET", f"/v1/locks/{name}"), 404)
