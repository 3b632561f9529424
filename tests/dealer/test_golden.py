"""Golden cases of kind `dealer`: ours answers like the first Dynamo, except where it was mended."""

import json
from pathlib import Path

import pytest

from dynamo.golden.replay import answer

CASES = {
    path.stem: json.loads(path.read_text("utf-8"))
    for path in sorted((Path(__file__).parents[1] / "golden").glob("2*.json"))
}
TB = 10**12


def without(copies, *datasets):
    return [copy for copy in copies if copy["dataset"] not in datasets]


def not_over_the_volume(expected):
    """The copy that took the first Dynamo over the volume of the cycle is not made."""
    return expected | {"copies": without(expected["copies"], "/Pop2/E/AOD")}


def not_over_the_occupancy(expected):
    """The copy that filled the site to 0.6 is not made: the target occupancy 0.5 holds exactly."""
    return expected | {"copies": without(expected["copies"], "/Pop2/E/AOD")}


def condition_of_datasets(_):
    """The condition is evaluated, where the first Dynamo failed."""
    proposal = {"dataset": "/Pop0/E/AOD", "blocks": None, "destination": None}
    copies = [
        {"dataset": "/Pop0/E/AOD", "site": site, "blocks": ["b1", "b2"], "group": "analysis"}
        | {"growing": True, "size": TB}
        for site in ("T2_XX_B", "T2_XX_C")
    ]
    return {
        "status": "ok",
        "target_sites": ["T2_XX_A", "T2_XX_B", "T2_XX_C"],
        "requests_by_plugin": {"Popularity": {"ordered": [proposal, proposal]}},
        "copies": copies,
        "request_status": {},
    }


def balanced_within_its_volume(expected):
    """The balancer does not propose the dataset that would take it over its own volume."""
    proposals = expected["requests_by_plugin"]["Balancer"]["ordered"]
    return expected | {
        "copies": without(expected["copies"], "/L2/E/AOD"),
        "requests_by_plugin": {"Balancer": {"ordered": without(proposals, "/L2/E/AOD")}},
    }


def group_of_the_request(expected):
    """Copies belong to the group that the request names."""
    return expected | {"copies": [copy | {"group": "production"} for copy in expected["copies"]]}


def block_that_exists(_):
    """The site that has the block is passed over, where the first Dynamo failed."""
    item = {"dataset": "/R2/E/AOD", "blocks": ["b1"]}
    action = ["/R2/E/AOD#b1", "T2_XX_B", "queued"]
    return {
        "status": "ok",
        "target_sites": ["T2_XX_A", "T2_XX_B", "T2_XX_C"],
        "requests_by_plugin": {"DirectRequests": {"ordered": [item | {"destination": "T2_XX_B"}]}},
        "copies": [item | {"site": "T2_XX_B", "group": "analysis", "growing": False, "size": TB}],
        "request_status": {"1": {"status": "activated", "reason": None, "actions": [action]}},
    }


MENDED = {
    "202-dealer-cycle-volume": not_over_the_volume,
    "204-dealer-fills-up": not_over_the_occupancy,
    "208-dealer-popularity-condition": condition_of_datasets,
    "211-dealer-balancer-volume": balanced_within_its_volume,
    "226-dealer-request-group": group_of_the_request,
    "228-dealer-request-block-exists": block_that_exists,
}
"""Cases whose expectation was a defect, and what is expected instead."""

EXACT = [name for name, case in CASES.items() if name not in MENDED and not case.get("statistical")]


@pytest.mark.parametrize("name", EXACT)
def test_ours_copies_like_the_first_dynamo(name):
    assert answer(CASES[name]) == CASES[name]["expected"]


@pytest.mark.parametrize("name", MENDED)
def test_mended_defects(name):
    assert answer(CASES[name]) == MENDED[name](CASES[name]["expected"])


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.get("statistical")])
def test_draws_are_spread_like_those_of_the_first_dynamo(name):
    expected = CASES[name]["expected"]

    given = answer(CASES[name])

    assert {key: given[key] for key in ("status", "draws", "targets")} == {
        key: expected[key] for key in ("status", "draws", "targets")
    }
    for who, count in expected["counts"].items():
        share = count / expected["draws"]
        # five standard deviations of the difference of two samples
        tolerance = 5 * (2 * share * (1 - share) / expected["draws"]) ** 0.5
        assert abs(given["counts"][who] / given["draws"] - share) < tolerance


def test_a_destination_is_drawn_by_what_is_left_free_behind_the_copy():
    case = json.loads(json.dumps(CASES["208-dealer-popularity-condition"]))
    case["dealer"]["distribution"] = {"what": "destination", "draws": 3000}
    for site, quota in (("T2_XX_B", 10), ("T2_XX_C", 2)):
        next(one for one in case["inventory"]["sites"] if one["name"] == site)["quotas_tb"] = {
            "Ana": quota
        }

    counts = answer(case)["counts"]

    assert set(counts) == {"T2_XX_B", "T2_XX_C"}
    assert abs(counts["T2_XX_B"] / 3000 - 0.9 / 1.4) < 0.05


def test_the_destination_of_a_request_is_drawn_anew_each_time():
    case = json.loads(json.dumps(CASES["220-dealer-requests"])) | {"expected": None}
    case["dealer"]["requests"] = [
        {"items": ["/R1/E/AOD"], "sites": ["T2_XX_B", "T2_XX_C"], "n": 1, "group": "analysis"}
    ]
    case["dealer"]["distribution"] = {"what": "destination", "draws": 1000}
    for site, quota in (("T2_XX_B", 10), ("T2_XX_C", 5)):
        next(one for one in case["inventory"]["sites"] if one["name"] == site)["quotas_tb"] = {
            "Ana": quota
        }

    counts = answer(case)["counts"]

    # of B, where a TB lies already, 7 of 10 would be free behind the copy, of C 3 of 5
    assert set(counts) == {"T2_XX_B", "T2_XX_C"}
    assert abs(counts["T2_XX_B"] / 1000 - 0.7 / 1.3) < 0.08
