"""Golden cases: what the first Dynamo decided, ours decides too, except where it was mended."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from dynamo.golden.replay import KINDS, answer, main
from tests.detox.naive import Detox, true_for

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
    "105-error-no-order": "a missing Order means Order none",
    "119-error-until-date": "until and from windows work",
    "123-partition-with-space": "a partition name with a blank may be named",
}
"""Cases whose expectation was a defect; ours has a meaning there."""
REFUSED = {"121-bool-with-value": "a value given to a boolean is an error"}
"""Cases that had an answer, and are an error in the policy now."""
SOONER = {"117-error-partition-unknown": "a partition that does not exist is an error at read time"}
"""Cases whose error is seen while the policy is read, not in the cycle."""


def expectations(case):
    listed = case.get("expected_any_of") or [case["expected"]]
    return [{key: value for key, value in one.items() if key != "seen"} for one in listed]


def answered(case):
    return json.loads(json.dumps(answer(case)))


def wording(answer):
    """Part what is the same in any engine from the words of an error."""
    words = {key: answer[key] for key in ("error", "error_type") if key in answer}
    return words, {key: value for key, value in answer.items() if key not in words}


@pytest.mark.parametrize(
    "name",
    [name for name in OURS if name not in MENDED | REFUSED and OURS[name]["kind"] != "times"],
)
def test_ours_decides_like_the_first_dynamo(name):
    case = OURS[name]
    mended = {"stage": "policy"} if name in SOONER else {}

    words, given = wording(answered(case))

    expected = [wording(one) for one in expectations(case)]
    assert given in [same | mended for _, same in expected]
    assert words.keys() == expected[0][0].keys()
    assert all(words.values())


@pytest.mark.parametrize("name", MENDED)
def test_mended_defects_are_decided_as_described(name):
    case = OURS[name]

    given = answered(case)

    slow = Detox(case).run()
    assert given["status"] == "ok"
    assert given["partition_content"] == case["expected"]["partition_content"]
    assert {key: given[key] for key in slow} == slow


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_meaning_is_refused_with_its_place(name):
    case = OURS[name]

    given = answered(case)

    assert (given["status"], given["stage"]) == ("error", "policy")
    assert given["partition_content"] == case["expected"]["partition_content"]
    assert given["error"].startswith(f"{name}:5:28: error: ")


def test_times_mean_what_they_meant_but_for_military_zones():
    case = CASES["160-time-expressions"]
    expected = case["expected"]["epoch"] | {"a week ago": {"error": "InvalidExpression"}}

    assert answer(case) == {"status": "ok", "epoch": expected}


@pytest.mark.parametrize(
    "name",
    [
        name
        for name in OURS
        if OURS[name]["kind"] == "detox"
        and name not in REFUSED
        and expectations(OURS[name])[0]["status"] == "ok"
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


def test_the_naive_conditions_are_right_too():
    case = CASES["150-conditions"]

    assert true_for(case, case["conditions"]) == case["expected"]["true_for"]


def test_replay_prints_one_object_or_a_list_and_nothing_else():
    folder = Path(__file__).parent
    paths = [
        str(folder / f"{name}.json") for name in ("001-protect-exact-name", "101-error-no-target")
    ]

    def printed(*arguments):
        done = subprocess.run(
            [sys.executable, "-m", "dynamo.cli.replay", *arguments],
            capture_output=True,
            check=True,
        )
        return json.loads(done.stdout)

    assert printed(paths[0]) == answered(CASES["001-protect-exact-name"])
    assert [one["status"] for one in printed(*paths)] == ["ok", "error"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda dataset: dataset.update(status="vaild"), "there is no status vaild; did you mean"),
        (lambda dataset: dataset["replicas"][0].update(site="T2_X"), "there is no site T2_X"),
        (lambda dataset: dataset["blocks"].clear(), "there is no block b1 in /Pop0/E/AOD"),
        (lambda dataset: dataset["replicas"].append(dataset["replicas"][0]), "is there twice"),
        (lambda dataset: dataset["blocks"].append(dataset["blocks"][0]), "is there twice"),
    ],
)
def test_an_inventory_that_contradicts_itself_is_refused_in_words(change, words):
    case = json.loads(json.dumps(CASES["200-dealer-popularity"]))
    change(case["inventory"]["datasets"][0])

    given = answer(case)

    assert (given["status"], given["stage"]) == ("error", "inventory")
    assert words in given["error"]


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
