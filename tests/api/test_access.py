"""Who may call what: every cell of endpoint and role is called, and nothing is undeclared."""

import re
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from api import auth, permissions
from dynamo.db.tables import User
from dynamo.reasons import Reason
from tests.api.web import Web, problem
from tests.services.world import DATASET

NAMES = {
    "name": "T2_A",
    "partition": "User",
    "user": "alice",
    "request_id": "1",
    "lock_id": "1",
    "cycle_id": "1",
    "scan_id": "1",
    "number": "1",
}
UNTOLD = {"metrics", "client", "v1.doc", "v1.root", "v1.specs", "restx_doc.static"}
"""Routes that are no part of the described interface."""


def _cells(web: Web) -> list[tuple[str, str, str]]:
    return [
        (rule.endpoint, method, rule.rule)
        for rule in web.app.url_map.iter_rules()
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
    ]


def _path(rule: str) -> str:
    names = {**NAMES, "filename": "swagger-ui.css"}
    if rule == "/v1/switches/<name>":
        names["name"] = "deletions"
    return re.sub(r"<(?:[a-z]+:)?([a-z_]+)>", lambda match: names[match.group(1)], rule)


def test_every_method_of_every_route_says_who_may_call_it(web: Web) -> None:
    cells = {(endpoint, method) for endpoint, method, _ in _cells(web)}
    undeclared = {cell for cell in cells if cell[0] not in auth.OPEN and cell not in auth.RULES}
    assert undeclared == set()
    assert set(auth.RULES) <= cells, "rules about routes that do not exist"


def test_what_is_described_and_what_is_served_are_the_same(web: Web) -> None:
    described = {
        (re.sub(r"\{([a-z_]+)\}", r"<\1>", path), method.upper())
        for path, methods in web.get("/v1/swagger.json", by=None)["paths"].items()
        for method in methods
        if method != "parameters"
    }
    served = {
        (re.sub(r"<[a-z]+:", "<", rule).removeprefix("/v1"), method)
        for endpoint, method, rule in _cells(web)
        if endpoint not in UNTOLD
    }
    assert described == served


def test_the_description_shows_the_bodies(web: Web) -> None:
    described = web.get("/v1/swagger.json", by=None)
    assert described["basePath"] == "/v1"
    assert set(described["definitions"]["Injection"]["properties"]) == {"dataset", "site", "files"}
    schema = described["paths"]["/injections"]["post"]["parameters"][0]["schema"]
    assert schema == {"$ref": "#/definitions/Injection"}
    assert set(described["definitions"]["Reason"]["enum"]) == set(Reason)
    assert described["definitions"]["Problem"]["properties"]["reason"] == {
        "$ref": "#/definitions/Reason"
    }
    assert b"swagger-ui" in web.call("GET", "/v1/", by=None).data


# --- the documented table -------------------------------------------------------------------------

PAGE = Path(__file__).parents[2] / "docs" / "permissions.md"
BODIES: dict[str, object] = {
    "v1.site": {"status": "ready"},
    "v1.site_quota": {"limit": 1},
    "v1.user_quota": {"limit": 1},
    "v1.switch": {"stopped": False},
    "v1.locations": {"datasets": ["/a/b/USER"]},
}


def test_the_documented_table_is_the_one_of_the_routes(web: Web) -> None:
    assert PAGE.read_text() == permissions.page(web.app), (
        "run: python -m api.permissions > docs/permissions.md"
    )


def _documented() -> dict[tuple[str, str], dict[str, bool]]:
    """Read the page as people do: call -> column -> whether it says yes."""
    head, _, *lines = (line for line in PAGE.read_text().splitlines() if line.startswith("|"))
    columns = [cell.strip() for cell in head.strip("|").split("|")][1:]
    table = {}
    for line in lines:
        call, *cells = (cell.strip() for cell in line.strip("|").split("|"))
        method, path = call.strip("`").split(" ")
        table[method, path] = dict(zip(columns, (cell == "yes" for cell in cells), strict=True))
    return table


@pytest.mark.parametrize("role", ["without a token", *permissions.ROLES])
def test_each_role_gets_what_the_page_says_and_nothing_else(web: Web, role: str) -> None:
    table = _documented()
    bearer = {}
    if role != "without a token":
        own = "T2_A" if role == "site" else None
        bearer = {"Authorization": f"Bearer {web.token('somebody', role, site=own)}"}
    for endpoint, method, rule in _cells(web):
        answer = web.call(
            method, _path(rule), by=None, json=BODIES.get(endpoint, {}), headers=bearer
        )
        if table[method, rule][role]:
            assert answer.status_code not in (401, 403, 500), (method, rule, answer.data)
        elif bearer:
            problem(answer, 403, "permission-denied")
        else:
            problem(answer, 401, "unauthenticated")
    assert set(table) == {(method, rule) for _, method, rule in _cells(web)}


def test_a_registered_role_counts_as_one_in_the_token(web: Web) -> None:
    body = {"limit": 1}
    web.post("/v1/closures", {"dataset": DATASET}, by="olga")  # who asks for something is known
    problem(web.put("/v1/quotas/alice", body, by="olga", roles=()), 403, "permission-denied")
    with web.world.ctx.begin() as work:
        work.changed(update(User).where(User.name == "olga").values(roles=["operator"]))
    assert web.put("/v1/quotas/alice", body, by="olga", roles=()).status_code in (200, 404)


def test_a_route_without_a_rule_is_closed_to_operators_too(web: Web) -> None:
    web.app.view_functions["forgotten"] = lambda: "open!"
    web.app.url_map.add(
        type(next(web.app.url_map.iter_rules()))("/forgotten", endpoint="forgotten")
    )
    problem(web.call("GET", "/forgotten", by="op", roles=("operator",)), 403)


def test_who_runs_a_site_sets_its_status_and_no_more(web: Web) -> None:
    own = {"Authorization": f"Bearer {web.token('hans', 'site', site='T2_A')}"}

    def put(name: str, body: object) -> Any:
        return web.call("PUT", f"/v1/sites/{name}", by=None, headers=own, json=body)

    assert put("T2_A", {"status": "morgue"}).get_json()["status"] == "morgue"
    problem(put("T2_B", {"status": "morgue"}), 403)
    problem(put("T2_A", {"url": "file:///tmp"}), 403)
    problem(put("T2_NEW", {"status": "ready"}), 403)


@pytest.mark.parametrize(
    "header", ["X-Remote-User", "Remote-User", "X-SSL-Client-S-DN", "X-Forwarded-User"]
)
def test_a_forged_header_is_no_token(web: Web, header: str) -> None:
    problem(web.call("GET", "/v1/sites", by=None, headers={header: "op"}), 401)
