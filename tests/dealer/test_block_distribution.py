"""The blocks of a dataset are shared out over many sites by free space and weight."""

from collections import Counter
from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dynamo.dealer.block_distribution import share_out
from dynamo.dealer.engine import decide
from dynamo.dealer.proposer import WeightedProposer
from dynamo.dealer.proposers.enforcer import Enforcer
from dynamo.dealer.proposers.requests import Requests
from dynamo.dealer.question import Limits, Veto
from dynamo.dealer.requests import Request, RequestedItem
from dynamo.policy.placement_rules import enforcer_from
from tests.dealer.drawing import LOOSE, TB, question

NAMES = [f"T2_{number:02}" for number in range(30)]
LIMITS = Limits(occupancy=0.9, pending=1.0, volume=1e18)


def production_input(n_blocks=300, quota=1000, **given):
    head = "dataset  T1_SRC " + " ".join(NAMES)
    row = "/A/B/C " + "A" * n_blocks + " -" * len(NAMES)
    return question(f"{head}\n{row}", quota=quota, limits=LIMITS, n_blocks=n_blocks, **given)


def request(copies=1, sites=("T2_*",)):
    return Request(1, (RequestedItem("/A/B/C"),), sites, copies=copies, spread=True)


def spread(asked):
    """Return the plan and how many blocks each site gets."""
    plan = decide(asked, {"requests": WeightedProposer(Requests(max_size=0))})
    return plan, {copy.site: len(copy.blocks) for copy in plan.each_copy()}


def test_300_blocks_come_to_lie_on_29_living_sites_within_a_tenth_of_their_weights():
    quota = {"T1_SRC": 0} | {name: 1000 + 70 * (place % 5) for place, name in enumerate(NAMES)}
    asked = production_input(
        quota=quota, status={"T2_13": "morgue"}, requests=(request(),), n_blocks=900
    )

    plan, blocks = spread(asked)

    living = {name: quota[name] for name in NAMES if name != "T2_13"}
    assert set(blocks) == set(living)
    assert sum(blocks.values()) == 900
    for name, count in blocks.items():
        share = 900 * living[name] / sum(living.values())
        assert abs(count - share) <= 0.1 * share
    assert all(len(action.site) and action.state == "queued" for action in plan.verdicts[0].actions)


def test_300_equal_blocks_on_30_equal_sites_are_10_each():
    _, blocks = spread(production_input(requests=(request(),)))

    assert set(blocks.values()) == {10}
    assert len(blocks) == 30


def test_a_weight_says_how_much_of_the_free_space_counts():
    weights = np.array([1.0] + [2.0 if place < 10 else 1.0 for place in range(30)])

    _, blocks = spread(
        replace(production_input(requests=(request(),), n_blocks=400), weights=weights)
    )

    assert Counter(blocks.values()) == {20: 10, 10: 20}


def test_each_block_is_at_as_many_different_sites_as_copies_are_wanted():
    plan, _ = spread(production_input(requests=(request(copies=3),), n_blocks=100))

    sites = [(copy.site, block) for copy in plan.each_copy() for block in copy.blocks.tolist()]
    assert Counter(block for _, block in sites) == dict.fromkeys(range(100), 3)
    assert len(set(sites)) == 300


def test_what_lies_there_already_counts_and_what_lay_at_a_dead_site_is_shared_out_again():
    picture = """
        dataset  T1_SRC  T2_A  T2_B  T2_C  T2_Dead
        /A/B/C   AAAAAA  A     -     -     AAAAAA
    """
    asked = question(picture, limits=LOOSE, quota=1000, n_blocks=6, requests=(request(),))

    _, blocks = spread(asked)

    assert blocks == {"T2_A": 1, "T2_B": 2, "T2_C": 2}


RULES = {
    "partition": "All",
    "rules": {
        "input": {
            "replicas": ["dataset.name == /A/*/*"],
            "sources": ["site.name == T1_SRC"],
            "destinations": ["site.name == T2_*"],
            "num_copies": 1,
            "spread": True,
        }
    },
}
ENFORCER = {"enforcer": WeightedProposer(Enforcer(rules=enforcer_from(RULES)))}


def test_what_lies_at_a_site_that_takes_no_more_is_not_shared_out_again():
    picture = """
        dataset  T1_SRC  T2_A  T2_B
        /A/B/C   AAAA    AA    -
    """
    full = {"T1_SRC": 1000, "T2_A": 2, "T2_B": 1000}
    asked = question(picture, limits=LIMITS, quota=full, n_blocks=4, requests=(request(),))

    for proposers in (ENFORCER, {"requests": WeightedProposer(Requests(max_size=0))}):
        plan = decide(asked, proposers)

        assert [(copy.site, copy.size) for copy in plan.each_copy()] == [("T2_B", 2 * TB)]


def test_nothing_is_shared_out_to_a_site_that_the_dataset_must_not_go_to():
    picture = """
        dataset  T1_SRC  T2_A  T2_B  T2_C
        /A/B/C   AAAA    -     -     -
    """
    veto = Veto(("/A/*/*",), ("T2_A",))
    asked = question(picture, limits=LIMITS, quota=1000, n_blocks=4, requests=(request(),))

    for proposers in (ENFORCER, {"requests": WeightedProposer(Requests(max_size=0))}):
        plan = decide(replace(asked, vetoes=(veto,)), proposers)

        assert {copy.site: len(copy.blocks) for copy in plan.each_copy()} == {"T2_B": 2, "T2_C": 2}


def test_a_rule_of_the_enforcer_shares_out_too():
    plan = decide(production_input(), ENFORCER)

    assert {copy.site: len(copy.blocks) for copy in plan.each_copy()} == dict.fromkeys(NAMES, 10)


@given(
    st.lists(st.integers(1, 9), min_size=1, max_size=6),
    st.lists(st.integers(0, 5), min_size=1, max_size=30),
    st.integers(1, 3),
    st.integers(0, 60),
)
def test_sharing_out_never_passes_the_room_nor_doubles_a_block(weights, sizes, copies, room):
    parts = np.array(weights) / sum(weights)
    table = dict(enumerate(sizes))

    given_out = share_out(parts, table, {0: [0]}, copies, np.full(len(weights), room))

    for site, blocks in given_out.items():
        assert sum(table[block] for block in blocks) <= room
        assert len(set(blocks)) == len(blocks)
        assert site != 0 or 0 not in blocks
    found = Counter(block for blocks in given_out.values() for block in blocks)
    assert all(count <= copies for count in found.values())
    if room >= sum(sizes) * copies:
        assert sum(found.values()) == sum(
            max(min(copies, len(weights)) - (block == 0), 0) for block in table
        )
