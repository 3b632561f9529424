"""Where copies go, and what keeps them from going there."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from dynamo.dealer.engine import decide
from dynamo.dealer.proposer import WeightedProposer
from dynamo.dealer.question import Limits, Veto
from dynamo.errors import Invalid
from dynamo.inventory.snapshot import Definition
from dynamo.policy.partitions import read_partitions
from tests.dealer.drawing import LOOSE, TB, Says, copies, question, said

TWO = """
    dataset  T2_A  T2_B  T2_C
    /A/B/C   full  -     -
    /A/B/D   full  -     -
"""


def test_a_named_site_that_takes_no_copies_is_refused():
    asked = question(TWO, status={"T2_B": "waitroom"}, target_sites=("T2_*", "!T2_C"))

    plan = said(asked, "/A/B/C > T2_B", "/A/B/C > T2_C")

    assert copies(plan) == []
    assert plan.counts == {"one": {"not-a-target": 2}}


def test_the_last_glob_that_fits_a_site_decides():
    asked = question(TWO, target_sites=("*", "!T2_*", "T2_B"))

    assert copies(said(asked, "/A/B/C", "/A/B/D")) == ["/A/B/C > T2_B", "/A/B/D > T2_B"]


def test_without_any_target_nobody_is_asked():
    asked = question(TWO, target_sites=())

    plan = said(asked, "/A/B/C")

    assert (plan.proposals, plan.counts, copies(plan)) == ({}, {"one": {}}, [])


def test_a_site_without_a_quota_takes_no_part_and_quota_zero_is_no_space():
    asked = question(TWO, quota={"T2_A": 9, "T2_B": None, "T2_C": 0})

    plan = said(asked, "/A/B/C > T2_B", "/A/B/C > T2_C", "/A/B/C")

    assert plan.counts == {"one": {"full": 2, "no-destination": 1}}


def test_an_unlimited_quota_takes_named_copies_and_others():
    asked = question(TWO, quota={"T2_A": 9, "T2_B": -1, "T2_C": 0})

    plan = said(asked, "/A/B/C > T2_B", "/A/B/D")

    assert copies(plan) == ["/A/B/C > T2_B", "/A/B/D > T2_B"]


def test_measured_free_space_caps_the_quota():
    asked = question(TWO, quota={"T2_A": 0, "T2_B": 9, "T2_C": -1})
    free = np.array([np.nan, 1.9, 2.0]) * TB

    plan = said(replace(asked, free=free), "/A/B/C > T2_B", "/A/B/C", "/A/B/D")

    assert copies(plan) == ["/A/B/C > T2_C"]
    assert plan.counts == {"one": {"accepted": 1, "full": 1, "no-destination": 1}}


def test_unknown_free_space_means_what_the_quota_says():
    asked = replace(question(TWO, quota=9), free=np.full(3, np.nan))

    assert copies(said(asked, "/A/B/C > T2_B")) == ["/A/B/C > T2_B"]


def test_the_target_occupancy_is_reached_but_not_passed():
    asked = question(
        TWO, quota={"T2_A": 0, "T2_B": 4, "T2_C": 3}, limits=replace(LOOSE, occupancy=0.5)
    )

    plan = said(asked, "/A/B/C > T2_B", "/A/B/D > T2_B", "/A/B/D > T2_C")

    assert copies(plan) == ["/A/B/C > T2_B"]
    assert plan.counts == {"one": {"accepted": 1, "full": 2}}


def test_what_is_on_its_way_already_counts_towards_the_pending_fraction():
    picture = """
        dataset  T2_A  T2_B  T2_C
        /A/B/C   full  -     -
        /A/B/D   full  hole  -
    """
    asked = question(picture, quota=100, limits=replace(LOOSE, pending=0.02))

    plan = said(asked, "/A/B/C > T2_B", "/A/B/C > T2_C")

    assert copies(plan) == ["/A/B/C > T2_C"]
    assert plan.counts == {"one": {"accepted": 1, "busy": 1}}


def test_what_does_not_fit_into_the_volume_is_not_overtaken_in_a_ranked_list():
    picture = """
        dataset  T2_A  T2_B
        /A/B/C   full  -
        /A/B/D   AAAA  -
        /A/B/E   full  -
    """
    asked = question(picture, limits=replace(LOOSE, volume=5 * TB))
    texts = ["/A/B/C > T2_B", "/A/B/D > T2_B", "/A/B/E > T2_B"]

    assert copies(said(asked, *texts)) == ["/A/B/C > T2_B"]
    assert copies(said(asked, *texts, ranked=False)) == ["/A/B/C > T2_B", "/A/B/E > T2_B"]


def test_what_no_cycle_could_ever_send_holds_nothing_up():
    picture = """
        dataset  T2_A  T2_B
        /A/B/C   AAAA  -
        /A/B/D   full  -
    """
    asked = question(picture, limits=replace(LOOSE, volume=3 * TB))

    assert copies(said(asked, "/A/B/C > T2_B", "/A/B/D > T2_B")) == ["/A/B/D > T2_B"]


def test_what_is_too_large_for_one_cycle_goes_in_several_if_it_may():
    picture = """
        dataset  T2_A  T2_B
        /A/B/C   AAAAA  -
    """
    limits = replace(LOOSE, pending=0.02)
    asked = question(picture, limits=limits)

    for texts in (["/A/B/C > T2_B"], ["/A/B/C"]):
        plan = said(asked, *texts, divisible=True)
        assert copies(plan) == ["/A/B/C#b1,b2 > T2_B"]
        assert plan.counts == {"one": {"in-part": 1}}
    assert copies(said(asked, "/A/B/C > T2_B")) == []
    later = question(picture.replace(" -", " AA"), limits=limits)
    assert copies(said(later, "/A/B/C > T2_B", divisible=True)) == ["/A/B/C#b3,b4 > T2_B"]
    last = question(picture.replace(" -", " AAAA"), limits=limits)
    assert copies(said(last, "/A/B/C > T2_B", divisible=True)) == ["/A/B/C > T2_B"]


def holding(condition, asked):
    """Say what the partition holds."""
    definition = Definition("All", condition)
    snapshot = replace(asked.snapshot, partitions=(definition,))
    return replace(asked, snapshot=snapshot, partitions=read_partitions((definition,)))


def test_what_has_its_owner_already_takes_no_more_space_when_the_rest_changes_hands():
    asked = question("dataset T2_A\n/A/B/C ABN", quota=10, limits=replace(LOOSE, occupancy=0.2))
    asked = holding("blockreplica.owner == A", asked)

    plan = said(asked, "/A/B/C > T2_A", group="B")

    # a block of A's is in the partition, of the others the one of nobody's changes hands
    assert plan.counts == {"one": {"accepted": 1}}
    assert [site.after for site in plan.sites] == [2 * TB]


def test_where_any_amount_may_be_on_its_way_no_site_is_busy():
    picture = "dataset T2_A T2_B\n/A/B/C full hole"
    asked = holding("blockreplica.owner == B", question(picture, quota=0))

    plan = said(asked, "/A/B/C > T2_B", group="B")

    assert plan.counts == {"one": {"accepted": 1}}
    assert plan.volume == 0


def test_what_takes_no_space_goes_to_sites_that_take_copies_only():
    asked = question("dataset T2_A T2_B\n/A/B/C full -", quota=-1, target_sites=("T2_A",))
    asked.snapshot.blocks.size[:] = asked.snapshot.datasets.size[:] = 0

    plan = said(asked, "/A/B/C")

    assert copies(plan) == []
    assert plan.counts == {"one": {"exists": 1}}


def test_a_change_of_owner_waits_for_the_site_where_too_much_of_it_is_still_to_come():
    picture = """
        dataset  T2_A  T2_B
        /A/B/C   full  hole
    """
    asked = holding("blockreplica.owner == B", question(picture))

    # of the two blocks half of one is still to come
    for pending, reason in ((0.004, "busy"), (0.005, "accepted")):
        narrow = replace(asked, limits=replace(LOOSE, pending=pending))
        plan = said(narrow, "/A/B/C > T2_B", group="B", divisible=True)
        assert plan.counts == {"one": {reason: 1}}


def test_last_copies_do_not_count_against_the_volume():
    asked = question(TWO, limits=replace(LOOSE, volume=2 * TB))

    plan = said(asked, "/A/B/C > T2_B", "/A/B/D > T2_B", exempt=True)

    assert plan.volume == 4 * TB


def test_only_what_is_missing_is_sent_and_owners_change_without_a_byte():
    picture = """
        dataset  T2_A  T2_B  T2_C
        /A/B/C   full  part  BB
    """
    plan = said(question(picture), "/A/B/C > T2_B", "/A/B/C > T2_C")

    assert copies(plan) == ["/A/B/C > T2_B", "/A/B/C > T2_C"]
    assert [(copy.size, copy.moves, len(copy.new)) for copy in plan.each_copy()] == [
        (2 * TB, TB, 1),
        (2 * TB, 0, 0),
    ]
    assert plan.copies.owner.tolist() == [1, 1, 1, 1]
    assert plan.volume == TB


def test_what_is_there_or_on_its_way_for_the_same_group_is_not_copied_again():
    picture = """
        dataset  T2_A  T2_B  T2_C
        /A/B/C   full  full  hole
    """
    plan = said(question(picture), "/A/B/C > T2_B", "/A/B/C > T2_C", "/A/B/C", "/A/B/C#b2 > T2_C")

    assert plan.counts == {"one": {"exists": 4}}


def test_a_change_of_owner_of_what_is_on_its_way_empties_nothing():
    picture = """
        dataset  T2_A  T2_B
        /A/B/C   full  hole
    """
    plan = said(question(picture), "/A/B/C > T2_B", group="B")

    assert copies(plan) == ["/A/B/C > T2_B"]
    assert plan.volume == 0
    assert (plan.copies.row >= 0).all()


def test_a_dataset_asked_for_twice_goes_to_two_sites():
    plan = said(question(TWO), "/A/B/C", "/A/B/C", "/A/B/C")

    assert copies(plan) == ["/A/B/C > T2_B", "/A/B/C > T2_C"]
    assert plan.counts == {"one": {"accepted": 2, "exists": 1}}


def test_one_copy_anywhere_is_enough_where_the_proposer_says_so():
    plan = said(question(TWO), "/A/B/C", "/A/B/C", once=True)

    assert plan.counts == {"one": {"accepted": 1, "exists": 1}}


def test_sources_are_looked_for_everywhere():
    picture = """
        dataset  T2_A  T2_B  T2_C
        /A/B/C   -     -     -
        /A/B/D   hole  -     -
        /A/B/E   full  -     -
        /A/B/F   part  -     -
    """
    asked = question(picture, status={"T2_A": "morgue"})

    plan = said(asked, "/A/B/C", "/A/B/D", "/A/B/E > T2_B", "/A/B/F > T2_B", "/A/B/F#b2 > T2_B")

    assert copies(plan) == ["/A/B/E > T2_B", "/A/B/F > T2_B"]
    assert plan.counts == {"one": {"accepted": 2, "no-source": 2, "files-missing": 1}}


def test_files_that_are_only_together_complete_are_enough_if_somebody_says_so():
    picture = """
        dataset  T2_A  T2_B
        /A/B/D   hole  -
    """
    asked = question(picture)
    recoverable = np.ones(len(asked.snapshot.blocks.ids), np.bool_)

    assert copies(said(asked, "/A/B/D")) == []
    assert copies(said(replace(asked, recoverable=recoverable), "/A/B/D")) == ["/A/B/D > T2_B"]


def test_blocks_that_are_still_being_filled_stay_where_they_are():
    asked = question(TWO)
    filled = np.array([name == "b2" for name in asked.snapshot.blocks.names])

    plan = said(replace(asked, open_blocks=filled), "/A/B/C > T2_B")

    assert [(copy.growing, copy.size) for copy in plan.each_copy()] == [(True, TB)]


def test_a_veto_keeps_datasets_from_sites_but_for_those_it_excepts():
    veto = Veto(("/A/*/C",), ("T2_*", "!T2_C"))
    asked = question(TWO, vetoes=(veto,))

    plan = said(asked, "/A/B/C > T2_B", "/A/B/C", "/A/B/C", "/A/B/D > T2_B")

    assert copies(plan) == ["/A/B/D > T2_B", "/A/B/C > T2_C"]
    assert plan.counts == {"one": {"accepted": 2, "exists": 1, "not-allowed": 1}}


def test_emptier_sites_are_drawn_more_often():
    asked = question(TWO, quota={"T2_A": 0, "T2_B": 4, "T2_C": 20})

    found = Counter(copies(said(replace(asked, cycle=cycle), "/A/B/C"))[0] for cycle in range(600))

    # 0.5 of B and 0.9 of C are free behind the copy
    assert abs(found["/A/B/C > T2_B"] / 600 - 0.5 / 1.4) < 0.07


def test_a_cycle_draws_by_its_number_alone():
    asked = question(TWO)

    plans = [copies(said(replace(asked, cycle=7), "/A/B/C", "/A/B/D")) for _ in range(3)]

    assert plans[0] == plans[1] == plans[2]


def test_of_overlapping_copies_the_more_important_one_wins_and_the_others_add_blocks():
    proposers = {
        "early": WeightedProposer(Says("/A/B/C#b1 > T2_B"), 1),
        "late": WeightedProposer(Says("/A/B/C > T2_B", group="B"), 2),
    }
    for cycle in range(10):
        plan = decide(question(TWO, cycle=cycle), proposers)

        assert copies(plan) == ["/A/B/C#b1,b2 > T2_B"]
        assert plan.copies.owner.tolist() == [1, 2]
        assert plan.volume == 2 * TB
        assert [copy.proposer for copy in plan.each_copy()] == ["early"]


def test_an_unknown_partition_or_group_is_refused():
    asked = question(TWO)

    with pytest.raises(Invalid, match="no partition Al; did you mean All"):
        said(replace(asked, partition="Al"), "/A/B/C")
    with pytest.raises(Invalid, match="no group Z"):
        said(replace(asked, group="Z"), "/A/B/C")


def test_default_limits_are_those_of_the_policy():
    assert Limits() == Limits(occupancy=0.93, pending=0.03, volume=200e12)
