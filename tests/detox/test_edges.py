"""The corners of Detox: sites without quota, empty tape replicas, owners, ties, limits."""

from dataclasses import replace

import numpy as np
import pytest

from dynamo.detox.engine import Question, decide
from dynamo.detox.limits import Limits
from dynamo.detox.plan import Verdict
from dynamo.errors import Invalid
from dynamo.golden.cases import load
from dynamo.golden.detox import detox
from dynamo.policy.reader import read_policy
from tests.detox.drawing import DAY, NOW, TB, case


def planned(drawn, limits=None, snapshot=None):
    """Return the plan for a drawn case."""
    loaded = load(drawn)
    policy = read_policy(drawn["policy"]).policy
    return decide(
        Question(snapshot or loaded.snapshot, loaded.partitions, policy, loaded.now), limits
    )


def gone(plan):
    """Return what a plan deletes, in order."""
    return [(one.dataset, one.site) for one in plan.each_deletion()]


def test_a_site_without_a_quota_takes_no_part():
    drawn = case("dataset S1 S2\n/D/E/F full full", "Dismiss", quota={"S1": 10, "S2": 10})
    loaded = load(drawn)
    loaded.snapshot.quotas[0, 1] = np.nan

    plan = planned(drawn, snapshot=loaded.snapshot)

    assert [state.site for state in plan.sites] == ["S1"]
    assert gone(plan) == [("/D/E/F", "S1")]


def test_an_unlimited_site_is_never_full():
    drawn = case("dataset S1\n/D/E/F full", "When site.occupancy > 0\nDismiss", quota=-1)

    assert gone(planned(drawn)) == []
    assert planned(
        case("dataset S1\n/D/E/F full", "When site.quota > 1e18\nDismiss", quota=-1)
    ).deletions.row.size


def test_what_a_copy_reads_from_is_protected_before_all_lines():
    drawn = case(
        "dataset S1 S2\n/A/E/F full full\n/B/E/F full -", "Delete dataset.name == *\nDismiss"
    )
    loaded = load(drawn)
    rows = loaded.snapshot.block_replicas
    in_use = rows.replica == 0
    in_use[1] = False
    snapshot = replace(loaded.snapshot, block_replicas=replace(rows, in_use=in_use))

    plan = planned(drawn, snapshot=snapshot)

    going = sorted((one.dataset, one.site, len(one.rows)) for one in plan.each_deletion())
    assert going == [
        ("/A/E/F", "S1", 1),
        ("/A/E/F", "S2", 2),
        ("/B/E/F", "S1", 2),
    ]
    kept = [one for one in plan.each_decision() if one.verdict is Verdict.PROTECT]
    assert [(one.dataset, one.site, len(one.rows)) for one in kept] == [("/A/E/F", "S1", 1)]
    line = plan.line(kept[0].line)
    assert (line.at, line.text) == (0, "ProtectBlock blockreplica.in_use (Dynamo's own rule)")
    assert plan.sites[0].used_after == TB
    assert plan.unmatched == ()


def test_an_unknown_partition_is_named():
    loaded = load(case("dataset S1\n/D/E/F full", "Dismiss"))
    policy = read_policy("Partition Al\nOn always\nWhen always\nUntil never\nDismiss").policy

    with pytest.raises(Invalid, match="there is no partition Al; did you mean All"):
        decide(Question(loaded.snapshot, loaded.partitions, policy, loaded.now))


def test_equal_sites_and_replicas_go_by_name():
    plan = planned(
        case("dataset S2 S1\n/B/E/F full -\n/A/E/F full -\n/C/E/F - full", "Dismiss", quota=1000)
    )

    assert gone(plan) == [("/C/E/F", "S1"), ("/A/E/F", "S2"), ("/B/E/F", "S2")]


def test_a_round_ends_after_its_share_and_other_sites_get_a_turn():
    rows = "\n".join(f"/{letter}/E/F full full" for letter in "ABCD")
    drawn = case(f"dataset S1 S2\n{rows}", "Dismiss", quota=100)

    assert planned(drawn, Limits(per_round=0.03)).rounds == 5
    assert planned(drawn, Limits(per_round=0.01)).rounds == 9


def test_an_empty_tape_replica_shows_as_partly_on_tape():
    picture = "dataset S1 T1_MSS\n/D/E/F full none\n/G/E/F full -"

    answer = detox(
        case(
            picture, "Ignore site.storage_type == MSS\nProtect dataset.on_tape == PARTIAL\nDismiss"
        )
    )

    assert answer["committed"] == {"S1": {"/G/E/F": None}}
    assert "protect" in answer["decisions"]["S1"]["/D/E/F"]


def test_dismissed_blocks_of_an_ignored_replica_go_only_in_that_round():
    drawn = case(
        "dataset S1\n/D/E/F BNBN",
        "DismissBlock blockreplica.owner == None\nIgnore dataset.name == *\nProtect",
    )

    assert detox(drawn)["committed"] == {"S1": {"/D/E/F": ["b2", "b4"]}}
    never = case(
        "dataset S1\n/D/E/F BNBN",
        "When never\nDismissBlock blockreplica.owner == None\nIgnore site.name == *\nProtect",
    )
    assert [entry["blocks"] for entry in detox(never)["decisions"]["S1"]["/D/E/F"]["keep"]] == [
        ["b2", "b4"]
    ]


def test_a_handed_over_block_is_judged_again_with_its_new_owner():
    drawn = case(
        "dataset S1\n/D/E/F ABAB",
        "ProtectBlock blockreplica.owner == A and blockreplica.last_update newer_than 9 days ago\n"
        "DismissBlock blockreplica.owner == B\nProtect",
    )

    answer = detox(drawn)

    assert answer["reowned"] == {"S1": {"/D/E/F": {"b2": "A", "b4": "A"}}}
    assert answer["iterations"] == 2
    assert answer["committed"] == {}


def test_a_handed_over_block_that_is_deleted_later_is_no_longer_handed_over():
    drawn = case(
        "dataset S1\n/D/E/F ABAB",
        "DeleteBlock blockreplica.owner == B\nDelete dataset.name == /D/*\nProtect",
    )

    answer = detox(drawn)

    assert answer["reowned"] == {}
    assert answer["committed"] == {"S1": {"/D/E/F": None}}
    assert [entry["line"] for entry in answer["decisions"]["S1"]["/D/E/F"]["delete"]] == [2]


def test_a_growing_replica_stops_growing_only_when_it_goes_as_a_whole():
    drawn = case(
        "dataset S1\n/D/E/F BB",
        "DismissBlock blockreplica.last_update older_than 9 days ago\nProtect",
    )
    replica = drawn["inventory"]["datasets"][0]["replicas"][0]
    replica["growing_group"] = "A"

    assert detox(drawn)["committed"] == {"S1": {"/D/E/F": None}}

    replica["blocks"][0]["last_update"] = NOW - DAY
    assert detox(drawn)["committed"] == {"S1": {"/D/E/F": ["b2"]}}


def test_limits_hold_back_what_goes_beyond_them_and_count_it_as_still_there():
    rows = "\n".join(f"/{letter}/E/F full full" for letter in "ABC")
    drawn = case(f"dataset S1 S2\n{rows}", "Dismiss", quota=10)

    plan = planned(drawn, Limits(bytes_per_site=4 * TB))

    assert [site for _, site in gone(plan)] == ["S1", "S1", "S2", "S2"]
    assert plan.deletions.held.sum() == 4
    assert [state.used_after for state in plan.sites] == [2 * TB, 2 * TB]
    assert len(gone(planned(drawn, Limits(bytes=6 * TB)))) == 3
    assert len(gone(planned(drawn, Limits(files=8)))) == 1
    assert len(gone(planned(drawn, Limits(files_per_site=8)))) == 2
    assert gone(planned(drawn, Limits(bytes=0))) == []


def test_lines_that_never_applied_are_listed():
    drawn = case(
        "dataset S1\n/D/E/F full",
        "Protect dataset.name == /X/*/*\nProtect replica.size > 1e15\n"
        "Dismiss dataset.name == *\nProtect",
    )

    assert planned(drawn).unmatched == (1, 2)


def test_decisions_can_be_asked_for_by_dataset_and_site():
    drawn = case(
        "dataset S1 S2\n/A/E/F full full\n/B/E/F full -",
        "Protect dataset.name == /B/*\nDismiss",
        quota=9,
    )

    plan = planned(drawn)

    assert [(one.site, one.verdict) for one in plan.each_decision("/A/E/F")] == [
        ("S1", Verdict.DELETE),
        ("S2", Verdict.DELETE),
    ]
    assert [(one.dataset, one.line) for one in plan.each_decision(site="S1")] == [
        ("/A/E/F", 0),
        ("/B/E/F", 1),
    ]
    assert list(plan.each_decision("/no/such/dataset")) == []


def test_nothing_at_all_is_a_plan_too():
    drawn = case("dataset S1\n/A/E/F none", "Delete dataset.name == *\nDismiss")

    plan = planned(drawn)

    assert gone(plan) == []
    assert plan.rounds == 1
    drawn["inventory"]["datasets"] = []
    assert list(planned(drawn).each_decision()) == []


def test_condition_windows_open_and_close():
    drawn = case("dataset S1\n/A/E/F full", "Protect dataset.name == * until 2019-05-31\nDismiss")
    assert len(gone(planned(drawn))) == 1
    drawn = case("dataset S1\n/A/E/F full", "Protect dataset.name == * until tomorrow\nDismiss")
    assert gone(planned(drawn)) == []
    drawn = case(
        "dataset S1\n/A/E/F full", "ProtectBlock blockreplica.owner == A from 2019-06-02\nDismiss"
    )
    assert len(gone(planned(drawn))) == 1
    drawn = case("dataset S1\n/A/E/F full", "When always until yesterday\nDismiss")
    assert gone(planned(drawn)) == []


def test_a_default_decision_about_blocks_selects_nothing():
    picture = "dataset S1\n/A/E/F full\n/B/E/F full"

    bare = planned(case(picture, "Protect dataset.name == /B/*\nDeleteBlock", quota=1))
    meant = planned(case(picture, "Protect dataset.name == /B/*\nDelete", quota=1))

    assert gone(bare) == []
    assert len(bare.ignored) == 1
    assert gone(meant) == [("/A/E/F", "S1")]


def test_what_a_line_empties_on_tape_is_no_copy_for_those_who_come_after_it():
    """The disk copy is looked at behind the tape copy, in the same round."""
    policy = "Delete site.storage_type == MSS\nProtect dataset.on_tape == NONE\nDismiss"

    plan = planned(case("dataset S0_MSS S1\n/A/E/F full full", policy, quota=1))

    assert gone(plan) == [("/A/E/F", "S0_MSS")]
