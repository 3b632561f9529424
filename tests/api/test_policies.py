"""Policies over REST: in force, refused with the place of each error, and what was before."""

from typing import Any

import pytest

from dynamo.policy import defaults
from tests.api.web import Web, problem

GOOD = """Partition Analysis
On site.storage_type == DISK
When site.occupancy > 0.8
Until site.occupancy < 0.7
Protect blockreplica.is_locked
Dismiss
"""
PATH = "/v1/policies/Analysis"
PROD = {"by": "prod", "roles": ("production",)}


def put(web: Web, text: str, **more: Any) -> Any:
    return web.put(PATH, {"text": text}, **more)


def test_a_fresh_system_has_a_policy_for_each_partition(web: Web) -> None:
    for name in ("Analysis", "Production", "User"):
        shown = web.get(f"/v1/policies/{name}")
        assert (shown["partition"], shown["version"], shown["who"]) == (name, 1, "dynamo")
        assert shown["text"] == defaults.policy(name)
        again = web.put(f"/v1/policies/{name}", {"text": shown["text"]}).get_json()
        assert again == {**shown, "warnings": []}


def test_a_good_policy_is_in_force_and_the_old_one_stays_to_be_seen(web: Web) -> None:
    told = put(web, GOOD).get_json()
    assert (told["version"], told["who"], told["text"]) == (2, "op", GOOD)
    assert web.get(PATH)["version"] == 2
    assert web.get(f"{PATH}?version=1")["text"] == defaults.policy("Analysis")

    newer = GOOD.replace("0.7", "0.6")
    assert put(web, newer, by="olga").get_json()["version"] == 3
    versions = web.items(f"{PATH}?versions")
    assert [(one["version"], one["who"]) for one in versions] == [
        (3, "olga"),
        (2, "op"),
        (1, "dynamo"),
    ]
    assert versions[0]["difference"].splitlines() == [
        "--- version 2",
        "+++ version 3",
        "@@ -1,6 +1,6 @@",
        " Partition Analysis",
        " On site.storage_type == DISK",
        " When site.occupancy > 0.8",
        "-Until site.occupancy < 0.7",
        "+Until site.occupancy < 0.6",
        " Protect blockreplica.is_locked",
        " Dismiss",
    ]
    assert [len(page) for page in web.pages(f"{PATH}?versions")] == [2, 1]


def test_the_same_policy_again_is_no_new_version(web: Web) -> None:
    assert [put(web, GOOD).get_json()["version"] for _ in range(2)] == [2, 2]


def test_a_policy_with_errors_is_refused_and_the_old_one_stays(web: Web) -> None:
    before = web.get(PATH)
    wrong = GOOD.replace("is_locked", "is_loked").replace("> 0.8", "> much")
    told = problem(put(web, wrong), 422, "invalid")
    assert [(one["line"], one["column"], one["pointer"]) for one in told["errors"]] == [
        (3, 23, "/text"),
        (5, 9, "/text"),
    ]
    hint = "; did you mean blockreplica.is_locked?"
    assert told["errors"][1]["detail"].splitlines() == [
        f"Analysis:5:9: error: unknown variable blockreplica.is_loked{hint}",
        "    Protect blockreplica.is_loked",
        "            ^",
    ]
    assert web.get(PATH) == before


@pytest.mark.parametrize("text", ["", "Dismiss", "\u2603", "Partition Production\nDismiss", "\0"])
def test_a_text_that_is_no_policy_is_refused(web: Web, text: str) -> None:
    problem(put(web, text), 422)
    assert web.get(PATH)["version"] == 1


def test_a_policy_is_for_the_partition_of_the_path(web: Web) -> None:
    other = GOOD.replace("Partition Analysis", "Partition Production")
    assert "not Analysis" in problem(put(web, other), 422)["detail"]
    without = GOOD.removeprefix("Partition Analysis\n")
    assert put(web, without).get_json()["version"] == 2
    problem(web.put(PATH, {"text": GOOD, "partition": "User"}), 422)
    problem(web.put("/v1/policies/Nothing", {"text": without}), 404)
    for path in ("/v1/policies/Nothing", f"{PATH}?version=9", "/v1/policies/Nothing?versions"):
        problem(web.call("GET", path), 404)
    problem(web.call("GET", f"{PATH}?version=one"), 422)


def test_a_variable_that_nobody_finds_out_is_warned_of(web: Web) -> None:
    text = GOOD.replace("Dismiss", "Protect dataset.tape_copy_requested\nDismiss")
    warnings = put(web, text).get_json()["warnings"]
    assert len(warnings) == 1
    assert "nothing here finds out dataset.tape_copy_requested" in warnings[0]


def test_an_operator_allows_policies_to_delete_last_copies(web: Web) -> None:
    path = "/v1/partitions/Analysis"
    assert web.get(path)["allow_last_copy"] is False
    assert web.put(path, {"allow_last_copy": True}).get_json()["allow_last_copy"] is True
    assert web.get(path)["allow_last_copy"] is True
    problem(web.put(path, {"allow_last_copy": 1}), 422)
    problem(web.put(path, {}), 422)
    problem(web.put("/v1/partitions/Nothing", {"allow_last_copy": True}), 404)


def test_placement_rules_have_versions_as_policies_have(web: Web) -> None:
    problem(web.call("GET", "/v1/rules/User"), 404)
    first, second = ('{"rules": {}}', '{"rules": {}, "partition": "User"}')
    assert web.put("/v1/rules/User", {"text": first}).get_json()["version"] == 1
    assert web.put("/v1/rules/User", {"text": second}).get_json()["version"] == 2
    assert web.get("/v1/rules/User?version=1")["text"] == first
    assert [one["version"] for one in web.items("/v1/rules/User?versions")] == [2, 1]
    wrong = problem(web.put("/v1/rules/User", {"text": '{"rules": {"a": {}}}'}), 422)
    assert [one["line"] for one in wrong["errors"]] == [1]
    problem(web.put("/v1/rules/User", {"text": first}, by="alice", roles=()), 403)


def test_only_operators_change_policies(web: Web) -> None:
    problem(put(web, GOOD, by="alice", roles=()), 403)
    problem(put(web, GOOD, **PROD), 403)
