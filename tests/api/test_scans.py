"""Scans, quarantine and incidents over REST."""

import pytest

from tests.api.web import Web, problem
from tests.conftest import Clock
from tests.services.world import OPERATOR as OPERATOR_
from tests.services.world import lfn
from tests.steps.spoiling import DARK, by_hand, long_ago

OPERATOR = {"by": OPERATOR_.name, "roles": ("operator",)}


def scanned(web: Web, **more: object) -> dict[str, object]:
    """Run a scan of A, and return how it ended."""
    filed = web.post("/v1/scans", {"site": "T2_A", **more}, **OPERATOR)
    assert filed.status_code == 202
    web.world.work()
    found = web.get(filed.headers["Location"])
    assert found["state"] == "done"
    return dict(found)


def test_what_is_dark_is_shown_set_aside_listed_and_brought_back(web: Web, clock: Clock) -> None:
    path = by_hand(web.world.path("T2_A", DARK), clock.now, b"dark")
    dry = scanned(web, dry_run=True)
    assert dry["summary"]["names"]["dark"] == [DARK]
    scanned(web)
    long_ago(web.world)
    assert scanned(web)["summary"]["acted"] == 1
    assert not path.exists()

    [kept] = web.items("/v1/quarantine?site=T2_A")
    assert (kept["lfn"], kept["found"], kept["bytes"]) == (DARK, "dark", 4)
    one = f"/v1/quarantine/{kept['id']}"
    problem(web.call("DELETE", one), 403)
    assert web.call("DELETE", one, **OPERATOR).status_code == 202
    web.world.work()
    assert path.read_bytes() == b"dark"
    assert web.items("/v1/quarantine") == []
    problem(web.call("DELETE", one, **OPERATOR), 404)
    assert [scan["dry_run"] for scan in web.items("/v1/scans?site=T2_A")] == [False, False, True]
    assert web.items("/v1/scans?site=T2_B") == []


def test_a_lost_file_is_told_to_its_owner(web: Web, clock: Clock) -> None:
    web.world.many("T2_A", 3)
    web.world.work()
    name = lfn("T2_A_1.root")
    web.world.path("T2_A", name).unlink()
    scanned(web)
    long_ago(web.world)
    scanned(web)

    [told] = web.items("/v1/incidents?owner=alice&kind=lost")
    assert (told["lfn"], told["dataset"], told["ended"]) == (name, "/Higgs/alice-v1/USER", None)
    assert web.items("/v1/incidents?owner=bob") == []
    [file] = web.items(f"/v1/files?lfn={name}")
    assert [(one["state"], one["reason"]) for one in file["replicas"]] == [("lost", "lost")]
    assert [one["what"] for one in web.items(f"/v1/history?lfn={name}")][:1] == ["lost"]


@pytest.mark.parametrize(
    ("body", "status"),
    [({"site": "T2_Z"}, 404), ({"site": "T2_A", "force": True}, 422), ({}, 422)],
)
def test_an_impossible_scan_is_refused(web: Web, body: dict[str, object], status: int) -> None:
    problem(web.post("/v1/scans", body, **OPERATOR), status)
    problem(web.post("/v1/scans", {"site": "T2_A"}), 403)


def test_one_scan_of_a_site_at_a_time(web: Web) -> None:
    assert web.post("/v1/scans", {"site": "T2_A"}, **OPERATOR).status_code == 202
    problem(web.post("/v1/scans", {"site": "T2_A"}, **OPERATOR), 409)
    dry = web.post("/v1/scans", {"site": "T2_A", "dry_run": True}, **OPERATOR)
    assert dry.status_code == 202


@pytest.mark.parametrize("path", ["/v1/scans/x", "/v1/scans/7", "/v1/scans/99999999999999999999"])
def test_a_scan_has_a_number(web: Web, path: str) -> None:
    problem(web.call("GET", path), 404)
