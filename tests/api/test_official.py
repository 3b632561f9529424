"""Official data over REST: stated, shown, changed."""

from tests.api.web import Web, problem
from tests.services.world import TB
from tests.steps.official import RAW, block, dataset, files

PROD = {"by": "prod", "roles": ("production",)}
OPERATOR = {"by": "op", "roles": ("operator",)}


def test_official_data_are_stated_and_shown(web: Web) -> None:
    stated = dataset(block("b1", ["T2_A", "T2_B"]), type="data")
    told = web.post("/v1/datasets", stated, **PROD)
    assert (told.status_code, told.get_json()["files"]) == (200, 2)
    assert web.post("/v1/datasets", [stated], **PROD).get_json()["files"] == 0

    shown = web.get(f"/v1/datasets{RAW}")
    assert (shown["type"], shown["files"], shown["owner"]) == ("data", 2, None)
    assert [at["full"] for at in shown["sites"]] == [True, True]
    assert web.items(f"/v1/locations?dataset={RAW}")[0]["sites"] == ["T2_A", "T2_B"]
    assert web.items(f"/v1/files?dataset={RAW}")[0]["replicas"][0]["state"] == "available"
    told = [(one["what"], one["site"]) for one in web.items(f"/v1/history?dataset={RAW}")]
    assert told == [("placed", "T2_B"), ("placed", "T2_A"), ("dataset-registered", None)]


def test_official_data_are_refused_with_the_place_of_the_fault(web: Web) -> None:
    web.post("/v1/datasets", dataset(block("b1")), **PROD)
    other = dataset(block("b2", files=[{**files("b1")[1], "size": 1}]))
    told = problem(web.post("/v1/datasets", [dataset(name="/x/y/RAW"), other], **PROD), 409)
    assert told["errors"][0]["pointer"] == "/1/blocks/0/files/0"
    assert told["errors"][0]["lfn"] == files("b1")[1]["lfn"]
    for body in ({}, [], {"name": RAW, "blok": []}, {"name": RAW, "status": "fine"}, "x", 5):
        problem(web.post("/v1/datasets", body, **PROD), 422)
    for body in ({"name": RAW, "type": "a\n"}, {"name": RAW, "type": "ä"}):
        problem(web.post("/v1/datasets", body, **PROD), 422)
    problem(web.post("/v1/datasets", dataset(block("b3"))), 403)


def test_a_dataset_is_changed_by_who_may(web: Web) -> None:
    web.post("/v1/datasets", dataset(block("b1")), **PROD)
    path = f"/v1/datasets{RAW}"
    told = web.call("PATCH", path, json={"status": "deprecated"}, **PROD)
    assert told.get_json()["status"] == "deprecated"
    assert web.call("PATCH", path, json={}, **PROD).get_json() == told.get_json()
    problem(web.call("PATCH", path, json={"owner": "bob"}, **PROD), 403)
    assert web.call("PATCH", path, json={"owner": "bob"}, **OPERATOR).get_json()["owner"] == "bob"
    problem(web.call("PATCH", path, json={"owner": "Bob"}, **OPERATOR), 422, "name-invalid")
    problem(web.call("PATCH", path, json={"status": "deleted"}, **OPERATOR), 409)
    problem(web.call("PATCH", "/v1/datasets/no/such/DATA", json={}, **PROD), 404)
    problem(web.call("PATCH", "/v1/datasets/nosuch", json={}, **PROD), 404)
    whats = [(one["what"], one["why"]) for one in web.items(f"/v1/history?dataset={RAW}")[:2]]
    assert whats == [
        ("dataset-changed", "owner: nobody → bob"),
        ("dataset-changed", "status: valid → deprecated"),
    ]


def test_a_quota_is_shown_with_the_official_data_it_holds(web: Web) -> None:
    web.put("/v1/sites/T2_A/quotas/Production", {"limit": TB})
    web.post("/v1/datasets", dataset(block("b1")), **PROD)
    shown = web.get("/v1/sites/T2_A/quotas/Production")
    assert (shown["projected"], shown["used"]) == (201, 201)
