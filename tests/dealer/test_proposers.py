"""Reasons to copy, each in a world of its own."""

from dataclasses import replace

import numpy as np
import pytest

from dynamo.dealer.engine import decide
from dynamo.dealer.proposer import WeightedProposer, installed
from dynamo.dealer.proposers.balancer import Balancer
from dynamo.dealer.proposers.enforcer import Enforcer
from dynamo.dealer.proposers.groups import Groups
from dynamo.dealer.proposers.popularity import Popularity
from dynamo.dealer.proposers.subscriptions import Subscriptions
from dynamo.dealer.proposers.undertaker import Undertaker
from dynamo.dealer.question import Veto
from dynamo.dealer.requests import Subscription
from dynamo.errors import Invalid
from dynamo.inventory.snapshot import Lock
from dynamo.policy.placement_rules import enforcer_from
from tests.dealer.drawing import LOOSE, TB, copies, protections, question


def proposed(asked, proposer):
    """Return what is proposed, as texts."""
    plan = decide(asked, {"it": WeightedProposer(proposer)})
    snapshot, said = asked.snapshot, plan.proposals["it"]
    found = []
    for place in range(len(said)):
        text = snapshot.datasets.labels[int(said.dataset[place])]
        if not said.whole[place]:
            text += "#" + ",".join(snapshot.blocks.names[one] for one in said.blocks_of(place))
        site = int(said.site[place])
        found.append(text if site < 0 else f"{text} > {snapshot.sites.labels[site]}")
    return found


# --- popularity


def test_the_most_wanted_come_first_and_each_gets_one_copy_before_any_gets_two():
    picture = """
        dataset  T2_A  T2_B  T2_C
        /A/B/C   full  -     -
        /A/B/D   full  -     -
        /A/B/E   full  full  -
    """
    asked = question(picture)
    weight = np.array([3.4, 5.0, 1.0])
    asked = replace(asked, snapshot=asked.snapshot.with_attributes(request_weight=weight))

    assert proposed(asked, Popularity()) == ["/A/B/D", "/A/B/C", "/A/B/D"]
    assert proposed(asked, Popularity(max_replication=2)) == ["/A/B/D", "/A/B/C"]
    assert proposed(asked, Popularity(threshold=10)) == []
    assert proposed(asked, Popularity(max_dataset_size=TB)) == []
    assert proposed(asked, Popularity(condition="dataset.name == /*/*/C")) == ["/A/B/C"]
    assert proposed(asked, Popularity(source_groups=("B",))) == []


def test_what_is_read_is_copied_as_what_is_waited_for():
    asked = question("dataset T2_A T2_B\n/A/B/C full -\n/A/B/D full -")
    read = asked.snapshot.with_attributes(recent_accesses=np.array([176.0, 90.0]))
    asked = replace(asked, snapshot=read)
    assert proposed(asked, Popularity()) == ["/A/B/C"]
    assert proposed(asked, Popularity(access_worth=0.02)) == ["/A/B/C", "/A/B/D", "/A/B/C"]
    assert proposed(asked, Popularity(access_worth=0)) == []

    both = read.with_attributes(request_weight=np.array([0.0, 1.0]))
    assert proposed(replace(asked, snapshot=both), Popularity()) == ["/A/B/D", "/A/B/C"]


def test_without_demand_nothing_is_popular():
    assert proposed(question("dataset T2_A T2_B\n/A/B/C full -"), Popularity()) == []


def test_what_has_no_closed_block_yet_has_nothing_to_copy():
    asked = question("dataset T2_A T2_B\n/A/B/C full -")
    asked = replace(asked, snapshot=asked.snapshot.with_attributes(request_weight=np.full(1, 9.0)))
    filled = np.ones(len(asked.snapshot.blocks.ids), np.bool_)

    assert proposed(replace(asked, open_blocks=~filled), Popularity(max_replication=2)) == [
        "/A/B/C"
    ]
    assert proposed(replace(asked, open_blocks=filled), Popularity(max_replication=2)) == []


def test_a_condition_with_a_typing_error_is_refused():
    asked = question("dataset T2_A\n/A/B/C full")
    asked = replace(asked, snapshot=asked.snapshot.with_attributes(request_weight=np.ones(1)))

    with pytest.raises(Invalid, match=r"did you mean dataset\.name"):
        proposed(asked, Popularity(condition="dataset.nam == /A/*/*"))


def test_a_condition_may_ask_for_locks():
    asked = question("dataset T2_A T2_B\n/A/B/C full -\n/A/B/D full -")
    snapshot = replace(asked.snapshot, locks=(Lock.on("/A/B/D"),))
    asked = replace(asked, snapshot=snapshot.with_attributes(request_weight=np.full(2, 3.0)))

    assert proposed(asked, Popularity(condition="blockreplica.is_locked")) == ["/A/B/D"]


# --- balancer

UNEVEN = """
    dataset  T2_Hot  T2_Cold  T2_New
    /A/B/C   full    -        -
    /A/B/D   full    -        -
    /A/B/E   full    full     -
    /A/B/F   -       full     -
"""


def test_last_copies_leave_the_fullest_site_until_all_are_even():
    asked = protections(
        question(UNEVEN, quota=20),
        "/A/B/C @ T2_Hot",
        "/A/B/D @ T2_Hot",
        "/A/B/E @ T2_Hot",
        "/A/B/F @ T2_Cold",
        size=2 * TB,
    )

    assert proposed(asked, Balancer(target_reasons={"last": 1})) == ["/A/B/C", "/A/B/D"]
    assert proposed(asked, Balancer(target_reasons={"last": 1}, max_cycle_volume=3 * TB)) == [
        "/A/B/C"
    ]
    boundless = Balancer(target_reasons={"last": 1}, max_cycle_volume=0)
    assert proposed(asked, boundless) == ["/A/B/C", "/A/B/D"]
    assert proposed(asked, Balancer(target_reasons={"last": 2}, max_dataset_size=TB)) == []
    assert proposed(asked, Balancer(target_reasons={"other": 2})) == []


def test_a_last_copy_that_is_still_being_filled_stays_where_it_is():
    asked = protections(
        question(UNEVEN, quota=20), "/A/B/C @ T2_Hot", "-/A/B/F @ T2_Cold", size=2 * TB
    )
    filled = asked.snapshot.blocks.dataset == asked.snapshot.datasets.labels.find("/A/B/C")
    balancer = Balancer(target_reasons={"last": 1})

    assert proposed(asked, balancer) == ["/A/B/C"]
    assert proposed(replace(asked, open_blocks=filled), balancer) == []


def test_what_is_nearly_even_stays_and_without_a_deletion_cycle_nothing_moves():
    asked = question(UNEVEN, quota=100)
    balancer = Balancer(target_reasons={"last": 1})

    assert proposed(asked, balancer) == []
    even = protections(asked, "/A/B/C @ T2_Hot", "-/A/B/F @ T2_Cold", size=2 * TB)
    assert proposed(even, balancer) == []


# --- undertaker

DYING = """
    dataset  T2_Dead  T2_A  T2_Wait
    /A/B/C   full     -     full
    /A/B/D   full     part  -
    /A/B/E   full     full  -
    /A/B/F   full     -     -
    /A/B/G   -        -     full
"""
WAIT = {"T2_Wait": "waitroom"}


def test_a_dying_site_is_emptied_of_what_is_nowhere_safe_the_very_last_copies_first():
    asked = question(DYING, status=WAIT)

    assert proposed(asked, Undertaker()) == ["/A/B/D#b2", "/A/B/F", "/A/B/C"]
    protected = protections(asked, "/A/B/F @ T2_Dead", "-/A/B/C @ T2_Dead", "/A/B/G @ T2_Wait")
    assert proposed(protected, Undertaker()) == ["/A/B/F"]


def test_what_is_named_as_endangered_is_saved_whatever_detox_protects():
    asked = question(DYING, status=WAIT)
    rows = asked.snapshot.block_replicas
    last = np.zeros(len(rows.ids), np.bool_)
    last[asked.snapshot.replicas.first[:-1][asked.snapshot.replicas.dataset == 3]] = True
    protected = protections(asked, "/A/B/C @ T2_Dead", "/A/B/G @ T2_Wait")

    named = replace(protected, endangered=last)

    assert proposed(named, Undertaker()) == ["/A/B/F#b1"]
    assert proposed(named, Undertaker(additional_sites=("T2_Wait",))) == ["/A/B/F#b1", "/A/B/G"]


def test_a_part_that_nobody_completes_rescues_nothing():
    asked = question("dataset T2_Dead T2_A\n/A/B/C full full")
    rows, site = asked.snapshot.block_replicas, asked.snapshot.sites.labels.find("T2_A")
    part = np.flatnonzero(asked.snapshot.replicas.site[rows.replica] == site)[0]
    rows.complete[part] = False

    assert proposed(asked, Undertaker()) == [], "the rest of the part is on its way"
    assert proposed(replace(asked, stalled=~rows.complete), Undertaker()) == ["/A/B/C#b1"]


def test_a_waitroom_keeps_its_data_unless_an_operator_names_it():
    asked = question("dataset T2_Wait T2_A\n/A/B/C full -", status=WAIT)

    assert proposed(asked, Undertaker()) == []
    assert proposed(asked, Undertaker(additional_sites=("T2_Wait", "T9_X"))) == ["/A/B/C"]


def test_a_site_that_an_operator_empties_gets_nothing():
    asked = question("dataset T2_A T2_B T2_C\n/A/B/C full - -", leaving=frozenset({"T2_A", "T2_B"}))

    plan = decide(asked, {"it": WeightedProposer(Undertaker())})

    assert copies(plan) == ["/A/B/C > T2_C"]


def test_evacuation_goes_on_when_the_volume_is_used_up_and_does_not_copy_twice():
    picture = """
        dataset   T2_Dead  T2_Dead2  T2_A  T2_B
        /A/B/C    full     full      -     -
    """
    asked = question(picture, limits=replace(LOOSE, volume=0))

    plan = decide(asked, {"it": WeightedProposer(Undertaker())})

    assert len(copies(plan)) == 1
    assert plan.counts == {"it": {"accepted": 1, "exists": 1}}


# --- enforcer


def rules(**rule):
    one = {
        "replicas": ["dataset.name == /A/*/*"],
        "sources": ["site.name == T1_*"],
        "destinations": ["site.name == T2_*"],
        "num_copies": 1,
    }
    return Enforcer(
        rules=enforcer_from(
            {"partition": "All", "default_destination_group": "A", "rules": {"one": one | rule}}
        )
    )


def test_a_rule_wants_as_many_copies_as_it_says_at_the_sites_it_names():
    picture = """
        dataset  T1_S  T2_A  T2_B  T2_C
        /A/B/C   full  -     -     -
        /A/B/D   full  full  -     -
        /A/B/E   full  hole  -     -
        /A/B/F   -     -     -     -
        /B/B/C   full  -     -     -
        /A/B/G   full  BB    -     -
        /A/B/H   full  part  -     -
    """
    asked = question(picture)

    assert {one.partition(" > ")[0] for one in proposed(asked, rules())} == {
        "/A/B/C",
        "/A/B/G",
        "/A/B/H",
    }
    assert "/A/B/G > T2_A" in proposed(asked, rules())
    assert "/A/B/H > T2_A" in proposed(asked, rules())
    assert len(proposed(asked, rules(num_copies=2))) == 2 + 1 + 1 + 2 + 2
    capped = proposed(asked, rules(num_copies=9))
    assert len(capped) == len(set(capped)) == 3 + 2 + 2 + 3 + 3


def test_sites_that_take_no_copies_are_drawn_last():
    asked = question("dataset T1_S T2_A T2_B\n/A/B/C full - -")
    dead = question("dataset T1_S T2_A T2_B\n/A/B/C full - -", status={"T2_A": "morgue"})
    closed = replace(asked, vetoes=(Veto(("/A/*/*",), ("T2_A",)),))

    for one in (dead, closed):
        for cycle in range(10):
            assert proposed(replace(one, cycle=cycle), rules()) == ["/A/B/C > T2_B"]


def test_the_rules_of_the_question_are_used_where_none_are_given():
    asked = question("dataset T1_S T2_A\n/A/B/C full -")

    assert proposed(asked, Enforcer()) == []
    asked = replace(asked, enforcer=rules().rules)
    assert proposed(asked, Enforcer()) == ["/A/B/C > T2_A"]


# --- groups and subscriptions


def test_groups_hand_over_at_the_same_site_what_they_own():
    picture = """
        dataset  T2_A  T2_B
        /A/B/C   BB    full
        /A/B/D   AB    BN
    """
    asked = question(picture)

    assert proposed(asked, Groups(from_groups=("B",))) == [
        "/A/B/C > T2_A",
        "/A/B/D > T2_A",
        "/A/B/D > T2_B",
    ]
    plan = decide(asked, {"it": WeightedProposer(Groups(from_groups=("B",)))})
    assert plan.volume == 0
    with pytest.raises(Invalid, match="no group C"):
        proposed(asked, Groups(from_groups=("C",)))


def test_a_subscription_gathers_the_blocks_that_are_not_there_yet():
    picture = """
        dataset  T2_A  T2_B  T2_C
        /A/B/C   AA    -     AAA
    """
    request = Subscription(1, "/A/B/C", "T2_A", group="B")
    asked = question(picture, subscriptions=(request, replace(request, dataset="/A/B/X")))

    assert proposed(asked, Subscriptions()) == ["/A/B/C#b3 > T2_A"]
    named = replace(asked, subscriptions=(replace(request, blocks=("b1", "b2")),))
    assert proposed(named, Subscriptions()) == []
    assert (
        proposed(replace(asked, subscriptions=(replace(request, site="T9_X"),)), Subscriptions())
        == []
    )


def test_all_proposers_are_entry_points():
    assert {
        "balancer": Balancer,
        "enforcer": Enforcer,
        "groups": Groups,
        "popularity": Popularity,
        "subscriptions": Subscriptions,
        "undertaker": Undertaker,
    }.items() <= installed().items()
