"""What operators change, and that the history says so."""

import pytest
from sqlalchemy import select, update

from dynamo.db.tables import Transfer
from tests.api.web import Web, problem
from tests.services.world import TB


def test_a_site_is_registered_changed_and_shown(web: Web) -> None:
    folder = web.world.folder / "new"
    folder.mkdir()
    new = web.put("/v1/sites/T2_NEW", {"url": f"file://{folder}"}).get_json()
    assert (new["kind"], new["status"], new["quotas"]) == ("disk", "ready", [])
    changed = web.put(
        "/v1/sites/T2_NEW", {"status": "waitroom", "scratch": ["/scratch"]}
    ).get_json()
    assert (changed["status"], changed["scratch"], changed["url"]) == (
        "waitroom",
        ["/scratch"],
        new["url"],
    )
    assert web.put("/v1/sites/T2_NEW", {"scratch": []}).get_json()["scratch"] == []
    assert web.get("/v1/sites/T2_NEW") == {**changed, "scratch": []}
    assert [site["name"] for site in web.items("/v1/sites")] == ["T2_A", "T2_B", "T2_NEW"]
    events = web.items("/v1/history?site=T2_NEW")
    assert [one["what"] for one in events] == ["site-changed"] * 3
    assert events[0]["who"] == "op"


TOLD = {"created", "quotas", "since", "set_by", "breakers", "probe", "downtimes", "streams"}
"""What is told of a site and not said of it."""


def test_what_get_shows_put_takes(web: Web) -> None:
    shown = web.get("/v1/sites/T2_A")
    fields = {name: shown[name] for name in shown if name not in TOLD}
    assert web.put("/v1/sites/T2_A", fields).get_json() == shown


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("T2_NEW", {}),
        ("T2_NEW", {"url": "gopher://x/"}),
        ("T2_NEW", {"url": ""}),
        ("T2_NEW", {"url": 5}),
        ("T2_NEW", {"url": "file:///tmp", "kind": "paper"}),
        ("T2_NEW", {"url": "file:///tmp", "status": "fine"}),
        ("T2_NEW", {"url": "file:///tmp", "rules": {"odd": 1}}),
        ("T2_NEW", {"url": "file:///tmp", "rules": {"rules": [["(", "x"]]}}),
        ("T2_NEW", {"url": "file:///tmp", "quota": 1}),
        ("T2%20NEW", {"url": "file:///tmp"}),
        ("T2_A", {"name": "T2_B"}),
        ("T2_A", {"rules": {"rules": [["(", "x"]]}}),
    ],
)
def test_an_impossible_site_is_refused(web: Web, name: str, body: object) -> None:
    problem(web.put(f"/v1/sites/{name}", body), 422)
    assert len(web.items("/v1/sites")) == 2


def test_a_quota_is_set_and_kept_counted(web: Web) -> None:
    web.world.many("T2_A", 3)
    before = web.get("/v1/sites/T2_A/quotas/User")
    after = web.put("/v1/sites/T2_A/quotas/User", {"limit": 5 * TB}).get_json()
    assert (after["limit"], after["projected"]) == (5 * TB, before["projected"])
    assert web.put("/v1/sites/T2_A/quotas/Analysis", {"limit": 0}).get_json()["limit"] == 0
    problem(web.call("GET", "/v1/sites/T2_B/quotas/Analysis"), 404, "no-quota")
    problem(web.put("/v1/sites/T2_A/quotas/Nothing", {"limit": 0}), 404)
    problem(web.put("/v1/sites/T9/quotas/User", {"limit": 0}), 404, "site-unknown")
    for body in (
        {},
        {"limit": -1},
        {"limit": "1TB"},
        {"limit": 2**63},
        {"limit": 1.5},
        {"limit": True},
    ):
        problem(web.put("/v1/sites/T2_A/quotas/User", body), 422)
    assert "quota-changed" in [one["what"] for one in web.items("/v1/history?site=T2_A")]


def test_a_users_quota_is_set_before_the_user_is_known(web: Web) -> None:
    assert web.put("/v1/quotas/carol", {"limit": 7}).get_json()["limit"] == 7
    assert web.get("/v1/quotas/carol")["limit"] == 7
    problem(web.put("/v1/quotas/Carol", {"limit": 7}), 422, "name-invalid")


@pytest.mark.parametrize(
    ("reason", "path", "body"),
    [
        ("storage-full", "/v1/sites/T2_A/quotas/User", {"limit": 99 * TB}),
        ("quota-exceeded", "/v1/quotas/alice", {"limit": 99 * TB}),
        ("site-not-ready", "/v1/sites/T2_A", {"status": "ready"}),
        ("switched-off", "/v1/switches/site:T2_A", {"stopped": False}),
        ("switched-off", "/v1/switches/injection", {"stopped": False}),
    ],
)
def test_held_work_goes_on_when_its_cause_goes(
    web: Web, reason: str, path: str, body: object
) -> None:
    web.world.many("T2_A", 1)
    with web.world.ctx.begin() as work:
        held = {"state": "held", "reason": reason, "not_before": None}
        work.changed(update(Transfer).values(**held))
    assert web.put(path, body).status_code == 200
    with web.world.ctx.begin.reading() as work:
        assert work.scalar(select(Transfer.not_before)) == work.now


def test_switches_are_listed_set_and_audited(web: Web) -> None:
    names = [one["name"] for one in web.items("/v1/switches")]
    assert names == ["consistency", "dealer", "deletions", "detox", "injection"]
    stopped = web.put("/v1/switches/site:T2_A", {"stopped": True, "why": "fire"}).get_json()
    assert (stopped["stopped"], stopped["who"], stopped["why"]) == (True, "op", "fire")
    assert web.get("/v1/switches/site:T2_A") == stopped
    assert web.get("/v1/switches/deletions")["stopped"] is False
    assert web.items("/v1/history?site=T2_A")[0]["what"] == "switch-stopped"
    problem(web.put("/v1/switches/site:T9", {"stopped": True}), 404)
    problem(web.put("/v1/switches/detox", {"stopped": "yes"}), 422)
    problem(web.put("/v1/switches/detox", {}), 422)


def test_a_roles_own_name_stands_in_the_history(web: Web) -> None:
    web.put("/v1/sites/T2_A", {"status": "morgue"}, by="olga")
    assert web.items("/v1/history?site=T2_A")[0]["who"] == "olga"
