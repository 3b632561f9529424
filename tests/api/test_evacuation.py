"""What operators ask of sites that are ill or dying, and what they can do."""

from sqlalchemy import update

from dynamo.db.tables import Transfer
from dynamo.services.evacuation import runner as evacuation_runner
from tests.api.web import Web, problem
from tests.services.world import ALICE
from tests.steps.sites import break_site, mend_site


def test_a_dying_site_tells_what_is_left_and_what_would_be_lost(web: Web) -> None:
    web.world.many("T2_A", 3)
    web.world.close()
    web.world.work()
    assert web.put("/v1/sites/T2_A", {"status": "morgue"}).status_code == 200

    told = web.get("/v1/sites/T2_A/evacuation")
    assert told["evacuated"] is True
    assert told["left"]["files"] == told["by_fate"]["waiting"]["files"] == 3
    (alice,) = web.get("/v1/sites/T2_A/losses")["owners"]
    assert (alice["owner"], alice["only_here"]["files"], alice["recoverable"]["files"]) == (
        "alice",
        3,
        0,
    )

    web.world.copy("T2_B", consolidate=False)
    web.world.work()
    (alice,) = web.get("/v1/sites/T2_A/losses")["owners"]
    assert [one["site"] for one in alice["from"]] == ["T2_B"]
    assert alice["only_here"]["files"] == 0
    evacuation_runner.evacuate(web.world.ctx)
    assert web.get("/v1/sites/T2_A/evacuation")["by_fate"].keys() == {"leaving"}
    problem(web.post("/v1/sites/T2_A/losses", {}), 403, "permission-denied")
    answer = web.post("/v1/sites/T2_A/losses", {}, by="op", roles=("operator",))
    assert answer.get_json() == {"site": "T2_A", "lost": 0, "kept": 0, "unsure": 0, "more": False}
    answer = web.post("/v1/sites/T2_B/losses", {}, by="op", roles=("operator",))
    problem(answer, 409, "in-use")
    problem(web.call("GET", "/v1/sites/T2_X/evacuation"), 404, "site-unknown")
    problem(web.call("GET", "/v1/sites/T2_X/losses"), 404, "site-unknown")


def test_a_breaker_is_seen_everywhere_and_an_operator_closes_it(web: Web) -> None:
    break_site(web.world, "T2_A")
    request = web.world.many("T2_A", 8)
    web.world.work()

    site = web.get("/v1/sites/T2_A")
    (rest,) = site["breakers"]
    assert (rest["operation"], rest["state"]) == ("write", "open")
    assert "write breaker open until" in rest["detail"]
    metrics = web.call("GET", "/metrics").get_data(as_text=True)
    assert 'dynamo_breaker_open{operation="write",site="T2_A"} 1.0' in metrics

    with web.world.ctx.begin() as work:  # all attempts are used up
        work.changed(update(Transfer).values(state="held", not_before=None))
    mend_site(web.world, "T2_A")
    problem(web.post("/v1/releases", {"site": "T2_A"}), 403, "permission-denied")
    problem(web.post("/v1/releases", {}), 422)
    answer = web.post("/v1/releases", {"site": "T2_A"}, by="op", roles=("operator",))
    assert answer.get_json() == {"transfers": 8, "deletions": 0, "breakers": 1}
    web.world.work()
    assert web.world.request("injection", request)["state"] == "done"
    assert web.get("/v1/sites/T2_A")["breakers"] == []


def test_an_owner_releases_an_own_request_only(web: Web) -> None:
    file = web.world.pulled("T2_A", "late.root", b"late")
    web.world.output_path("T2_A", "late.root").unlink()
    request = web.world.inject("T2_A", [file], by=ALICE)
    web.world.work()
    web.world.output("T2_A", "late.root", b"late")

    problem(web.post("/v1/releases", {"request": request}, by="bob"), 403, "permission-denied")
    problem(web.post("/v1/releases", {"request": 10**6}), 404, "not-found")
    assert web.post("/v1/releases", {"request": request}).get_json()["transfers"] == 1
    web.world.work()
    assert web.world.request("injection", request)["state"] == "done"


def test_limits_are_set_per_site_and_taken_back(web: Web) -> None:
    body = {"max_streams": 7, "max_link_streams": 2}
    shown = web.put("/v1/sites/T2_A", body).get_json()
    assert {key: shown[key] for key in body} == body
    web.put("/v1/sites/T2_A", {"kind": "disk"})
    assert web.get("/v1/sites/T2_A")["max_streams"] == 7, "what is not named stays"
    web.put("/v1/sites/T2_A", {"max_streams": None})
    assert web.get("/v1/sites/T2_A")["max_streams"] is None
    problem(web.put("/v1/sites/T2_A", {"max_streams": 0}), 422)
