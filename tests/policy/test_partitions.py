"""Partitions are conditions over block replicas, or unions of others."""

import numpy as np
import pytest

from dynamo.errors import Invalid
from dynamo.golden.cases import load
from dynamo.inventory.snapshot import Definition
from dynamo.policy.partitions import read_partition_file, read_partitions
from tests.detox.drawing import NOW, TB, case

DEFINITIONS = [
    {"name": "Own", "definition": "blockreplica.owner == A and site.storage_type == DISK"},
    {"name": "Other", "definition": "blockreplica.owner == B"},
    {"name": "Both of them", "definition": "[ Own,Other ]"},
    {"name": "Nested", "definition": "[Both of them]"},
]


def world(quotas=None):
    """Return a loaded world of one dataset at a disk and a tape site."""
    drawn = case("dataset S1 T1_MSS\n/D/E/F ABN AB", "Dismiss", n_blocks=3)
    drawn["inventory"]["partitions"] = DEFINITIONS
    for site in drawn["inventory"]["sites"]:
        site["quotas_tb"] = quotas or {"Own": 3, "Other": 4}
    return load(drawn)


def test_a_union_holds_what_any_of_its_parts_holds():
    loaded = world()

    def held(name):
        return loaded.partitions.members(name, NOW).of_snapshot(loaded.snapshot).tolist()

    assert held("Own") == [True, False, False, False, False]
    assert held("Other") == [False, True, False, False, True]
    assert held("Both of them") == held("Nested") == [True, True, False, False, True]


def test_the_quota_of_a_union_is_the_sum_of_its_parts():
    loaded = world()

    assert loaded.partitions.quota(loaded.snapshot, "Nested").tolist() == [7 * TB, 7 * TB]
    loaded.snapshot.quotas[0] = np.nan
    assert loaded.partitions.quota(loaded.snapshot, "Nested").tolist() == [4 * TB, 4 * TB]
    loaded.snapshot.quotas[:] = np.nan
    assert np.isnan(loaded.partitions.quota(loaded.snapshot, "Nested")).all()


def test_unions_have_no_quota_and_parts_are_limited():
    with pytest.raises(Invalid, match="Nested unites others and cannot have a quota"):
        world({"Nested": 5})
    with pytest.raises(Invalid, match="Own is part of another partition and cannot be unlimited"):
        world({"Own": -1})


def test_occupancy_counts_what_is_there():
    loaded = world()
    held = loaded.partitions.members("Own", NOW).of_snapshot(loaded.snapshot)

    standing = loaded.partitions.standing(loaded.snapshot, "Own", held)

    assert standing.used.tolist() == [TB, 0]
    assert standing.occupancy.tolist() == [1 / 3, 0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "A: dataset.nme == /a/b/c",
            "p:1:4: error: unknown variable dataset.nme; did you mean dataset.name?",
        ),
        ("A: [B, Bc]\nBc: dataset.size > 1", "p:1:5: error: there is no partition B"),
        ("Some: [Som]", "there is no partition Som; did you mean Some?"),
        ("A: [B]\nB: [A]", "p:2:4: error: B contains itself"),
        ("A: dataset.size > 1\nA: dataset.size > 2", "p:2:1: error: A is defined twice"),
        ("A: [B", "expected a closing ]"),
        ("A: []", "expected names of partitions in [ ]"),
        ("A is everything", "p:1:1: error: expected <name>: <condition> or <name>: [A, B]"),
        ("A: ", "expected <name>: <condition>"),
        ("A: site.occupancy > 0.5", "p:1:4: error: site.occupancy cannot stand here"),
    ],
)
def test_mistakes_in_a_partition_file_are_told_at_their_place(text, message):
    with pytest.raises(Invalid) as refused:
        read_partition_file(text, "p")

    assert message in refused.value.detail


def test_all_mistakes_are_told_at_once():
    with pytest.raises(Invalid) as refused:
        read_partitions([Definition("A", "x > 1"), Definition("B", "[C]")])

    assert len(refused.value.faults) == 2


def test_membership_by_owner_and_site_alone_is_known():
    partitions = read_partitions(
        [Definition(one["name"], one["definition"]) for one in DEFINITIONS]
    )
    larger = read_partitions([Definition("L", "replica.size > 5")])

    assert partitions.members("Nested", NOW).by_owner_and_site
    assert not larger.members("L", NOW).by_owner_and_site
