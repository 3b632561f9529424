"""Copies over REST: at several sites, at some of them, shared out, for a group."""

from typing import Any

import pytest

from dynamo.inventory import schemas
from dynamo.services.sites import sites
from tests.api.web import Web, problem
from tests.services.world import DATASET, OPERATOR, TB

SITES = ("T2_A", "T2_B", "T2_C")


@pytest.fixture
def filled(web: Web) -> Web:
    """Two blocks at T2_A of a dataset that is closed, and two sites that are empty."""
    web.world.site("T2_C")
    web.world.many("T2_A", 10)
    web.world.close()
    web.world.work()
    return web


def done(web: Web, **wish: object) -> dict[str, Any]:
    """Ask for a copy, let it be made, and return what its address shows."""
    answer = web.post("/v1/copies", {"dataset": DATASET, **wish})
    assert answer.status_code == 202, answer.get_json()
    web.world.work()
    shown: dict[str, Any] = web.get(answer.headers["Location"])
    assert shown["state"] == "done"
    return shown


def at(web: Web) -> list[int]:
    return [len(web.world.on_disk(site)) for site in SITES]


def test_a_copy_goes_to_each_of_several_sites(filled: Web) -> None:
    shown = done(filled, site=["T2_B", "T2_C"])

    assert shown["sites"] == ["T2_B", "T2_C"]
    assert shown["progress"]["files"] == {"total": 20, "done": 20, "failed": 0}
    assert "chosen" not in shown
    assert at(filled) == [10, 10, 10]


def test_copies_go_to_as_many_of_several_sites_as_are_wanted(filled: Web) -> None:
    shown = done(filled, site=["T2_[BC]"], copies=1)

    assert (shown["sites"], shown["copies"]) == (["T2_[BC]"], 1)
    (site,) = shown["chosen"]
    assert site in ("T2_B", "T2_C")
    assert len(filled.world.on_disk(site)) == 10
    assert sorted(at(filled)) == [0, 10, 10]


def test_what_is_spread_is_shared_out(filled: Web) -> None:
    shown = done(filled, site=["T2_B", "T2_C"], spread=True)

    assert shown["spread"] is True
    assert shown["progress"]["files"] == {"total": 10, "done": 10, "failed": 0}
    assert at(filled) == [10, 5, 5]


def test_a_copy_belongs_to_the_group_that_is_named(filled: Web) -> None:
    for site in SITES:
        sites.set_quota(filled.world.ctx, site, "Analysis", schemas.QuotaBody(limit=TB), OPERATOR)
    shown = done(filled, site="T2_B", group="analysis", consolidate=False)

    assert shown["group"] == "analysis"
    (here,) = filled.items(f"/v1/replicas?dataset={DATASET}&site=T2_B&group=analysis&limit=1")
    assert here["complete"] is True


@pytest.mark.parametrize(
    ("wish", "pointer"),
    [
        ({"site": ["T2_*"], "copies": 4}, "/copies"),
        ({"site": ["T2_B", "T2_B"], "copies": 2}, "/copies"),
        ({"site": ["T9_*"], "copies": 1}, "/site"),
    ],
)
def test_more_copies_than_there_are_sites_are_refused(
    filled: Web, wish: dict[str, object], pointer: str
) -> None:
    told = problem(filled.post("/v1/copies", {"dataset": DATASET, **wish}), 422, "invalid")

    assert told["detail"].endswith("ask for fewer copies, or name more sites")
    assert [one["pointer"] for one in told["errors"]] == [pointer]
