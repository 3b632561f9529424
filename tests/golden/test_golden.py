"""Golden cases: what the first Dynamo decided, ours decides too, except where it was mended."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from dynamo.cli.replay import KINDS, answer, main
from tests.detox.naive import Detox

CASES = {
    path.stem: json.loads(path.read_text("utf-8"))
    for path in sorted(Path(__file__).parent.glob("[0-9]*.json"))
}
OURS = {
    name: case
    for name, case in CASES.items()
    if case["kind"] in ("detox", "partitions", "conditions", "times")
}

MENDED = {
    "105-error-no-order": ("ok", "a missing Order means Order none"),
    "119-error-until-date": ("ok", "until and from windows work"),
    "121-bool-with-value": ("error", "a value given to a boolean is an error"),
    "123-partition-with-space": ("ok", "a partition name with a blank may be named"),
}
"""Cases whose expectation was a defect; ours has a meaning there, or sees the error."""


def expectations(case):
    listed = case.get("expected_any_of") or [case["expected"]]
    return [{key: value for key, value in one.items() if key != "seen"} for one in listed]


@pytest.mark.parametrize(
    "name", [name for name in OURS if name not in MENDED and OURS[name]["kind"] != "times"]
)
def test_ours_decides_like_the_first_dynamo(name):
    case = OURS[name]

    given = json.loads(json.dumps(answer(case)))

    expected = expectations(case)
    if expected[0]["status"] == "error":
        assert given["status"] == "error"
        assert given.get("partition_content") == expected[0].get("partition_content")
    else:
        assert given in expected


@pytest.mark.parametrize("name", MENDED)
def test_mended_defects(name):
    status, _ = MENDED[name]

    assert answer(CASES[name])["status"] == status


def test_times_mean_what_they_meant_but_for_military_zones():
    case = CASES["160-time-expressions"]
    expected = case["expected"]["epoch"] | {"a week ago": {"error": "InvalidExpression"}}

    assert answer(case) == {"status": "ok", "epoch": expected}


@pytest.mark.parametrize(
    "name",
    [
        name
        for name in OURS
        if OURS[name]["kind"] == "detox" and "error" not in name and name not in MENDED
    ],
)
def test_the_naive_detox_is_right_too(name):
    case = OURS[name]
    expected = expectations(case)

    given = Detox(case).run()

    wanted = [
        {key: one[key] for key in one if key in given and key != "deletion_order"}
        for one in expected
    ]
    assert {key: given[key] for key in wanted[0]} in wanted


def test_replay_prints_one_object_or_a_list_and_nothing_else():
    folder = Path(__file__).parent
    paths = [
        str(folder / f"{name}.json") for name in ("001-protect-exact-name", "101-error-no-target")
    ]

    def printed(*arguments):
        done = subprocess.run(
            [sys.executable, "-m", "dynamo.cli.replay", *arguments], capture_output=True, check=True
        )
        return json.loads(done.stdout)

    assert printed(paths[0]) == json.loads(json.dumps(answer(CASES["001-protect-exact-name"])))
    assert [one["status"] for one in printed(*paths)] == ["ok", "error"]


def test_a_case_without_its_expectation_is_answered_in_full():
    case = {
        key: value for key, value in CASES["005-in-notin"].items() if not key.startswith("expected")
    }

    given = answer(case)

    assert given["site_order"]
    assert "iteration" in given["deletion_order"]["T2_XX_One"][0]


def test_every_kind_of_case_has_an_answer_or_says_that_it_has_none():
    assert {"detox", "partitions", "conditions", "times"} <= set(KINDS)
    assert answer({"kind": "weather"})["status"] == "error"


def test_what_is_no_case_is_an_error_and_costs_no_other_answer(tmp_path, capsys):
    texts = ["", "[]", '{"kind": ["detox"]}', '{"kind": "detox", "policy": "x", "inventory": {}}']
    good = Path(__file__).parent / "101-error-no-target.json"
    paths = [str(good), str(tmp_path / "absent.json")]
    for number, text in enumerate(texts):
        path = tmp_path / f"{number}.json"
        path.write_text(text)
        paths.append(str(path))

    assert main(paths) == 0

    given = json.loads(capsys.readouterr().out)
    assert [one["status"] for one in given] == ["error"] * 6
    stages = ["policy", "case", "case", "case", "kind", "case"]
    assert [one["stage"] for one in given] == stages
