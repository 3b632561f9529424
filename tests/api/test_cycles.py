"""Cycles by REST: run, tried dry, looked at; only operators start one."""

from typing import Any

import pytest

from tests.api.web import Web, problem
from tests.services.world import DATASET

TEXT = """\
Partition User
On site.storage_type == DISK
When site.occupancy > 0.9
Until site.occupancy < 0.1
Protect dataset.name == /Kept/*/*
Dismiss
"""
DRY = {"kind": "detox", "partition": "User", "dry_run": True}


@pytest.fixture
def full(web: Web) -> Web:
    """Seven files that fill their site."""
    web.world.many("T2_A", 7)
    web.world.work()
    web.world.close()
    web.world.work()
    used = sum(map(len, web.world.on_disk("T2_A").values()))
    web.world.site_quota("T2_A", used)
    return web


def run(web: Web, body: dict[str, Any]) -> dict[str, Any]:
    answer = web.post("/v1/cycles", body, by="op", roles=("operator",))
    assert answer.status_code == 202, answer.get_data(as_text=True)
    assert answer.get_json()["state"] == "queued"
    web.world.work()
    return dict(web.get(answer.headers["Location"]))


def test_a_dry_run_is_accepted_and_shows_its_plan(full: Web) -> None:
    cycle = run(full, {**DRY, "policy": TEXT, "compare": TEXT.replace("Kept", "Higgs")})

    assert (cycle["state"], cycle["owner"], cycle["policy"]) == ("done", "op", None)
    assert cycle["summary"]["delete"]["files"] == 7
    assert cycle["summary"]["comparison"]["only_first"]["replicas"] == 1
    path = f"{cycle['links']['decisions']}?site=T2_A&dataset={DATASET}"
    [decision] = full.items(path)
    assert decision["action"] == "delete"
    assert (decision["line"], decision["text"]) == (6, "Dismiss")
    assert full.items(f"{cycle['links']['decisions']}?site=T2_B") == []
    assert len(full.world.on_disk("T2_A")) == 7


def test_cycles_are_listed_newest_first(full: Web) -> None:
    numbers = [run(full, DRY)["id"] for _ in range(3)]

    pages = list(full.pages("/v1/cycles?kind=detox&partition=User"))

    assert [one["id"] for page in pages for one in page] == numbers[::-1]
    assert full.items("/v1/cycles?partition=Analysis") == []
    assert full.items("/v1/cycles?kind=dealer") == []


def test_why_names_the_deciding_line(full: Web) -> None:
    run(full, {"kind": "detox", "partition": "User"})

    told = full.get(f"/v1/decisions?dataset={DATASET}&site=T2_A")

    assert told["partition"] == "User"
    assert all(one["action"] == "protect" for one in told["items"])
    assert told["items"][0]["values"] == {"blockreplica.num_full_disk_copy": 1}
    problem(full.call("GET", f"/v1/decisions?dataset={DATASET}"), 422)
    problem(full.call("GET", f"/v1/decisions?dataset={DATASET}&site=T2_B"), 404)
    unknown = f"/v1/decisions?dataset={DATASET}&site=T2_NOPE"
    problem(full.call("GET", unknown), 404, "site-unknown")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({**DRY, "partition": "Nothing"}, 404),
        ({**DRY, "kind": "staging"}, 422),
        ({**DRY, "policy": TEXT.replace("site.occupancy", "site.ocupancy")}, 422),
        ({"kind": "detox", "partition": "User", "policy": TEXT}, 422),
        ({**DRY, "speed": 1}, 422),
    ],
)
def test_what_makes_no_sense_is_refused(full: Web, body: dict[str, Any], status: int) -> None:
    problem(full.post("/v1/cycles", body, by="op", roles=("operator",)), status)


def test_two_at_once_are_a_conflict_and_dry_runs_are_not(full: Web) -> None:
    body = {"kind": "detox", "partition": "User"}
    assert full.post("/v1/cycles", body, by="op", roles=("operator",)).status_code == 202

    problem(full.post("/v1/cycles", body, by="op", roles=("operator",)), 409, "in-use")
    assert full.post("/v1/cycles", DRY, by="op", roles=("operator",)).status_code == 202


def test_only_operators_run_cycles(full: Web) -> None:
    problem(full.post("/v1/cycles", DRY), 403)
    problem(full.call("GET", "/v1/cycles/99"), 404)
    problem(full.call("GET", "/v1/cycles/x"), 404)
