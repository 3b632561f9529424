"""What holds for every plan, on random inventories."""

import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dynamo.dealer.plan import ProposalOutcome
from dynamo.golden.cases import load
from dynamo.golden.dealer import dealer, planned
from tests.dealer.checks import Ledger
from tests.dealer.worlds import world, worlds

CAREFUL = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@CAREFUL
@given(worlds)
def test_no_limit_is_passed_and_nothing_that_exists_is_copied_or_emptied(case):
    plan = planned(load(case), case)

    assert Ledger(plan).faults() == []


@CAREFUL
@given(worlds)
def test_a_cycle_replayed_with_its_seed_gives_the_same_plan(case):
    assert dealer(case) == dealer(json.loads(json.dumps(case)))


@CAREFUL
@given(worlds, st.randoms(use_true_random=False))
def test_the_order_in_which_an_inventory_is_written_does_not_matter(case, rng):
    other = json.loads(json.dumps(case))
    for listed in ("sites", "datasets", "groups"):
        rng.shuffle(other["inventory"][listed])
    for dataset in other["inventory"]["datasets"]:
        rng.shuffle(dataset["replicas"])

    assert dealer(case) == dealer(other)


@CAREFUL
@given(st.integers(0, 2**32))
def test_what_was_accepted_is_in_a_copy_and_what_was_refused_is_not_there_for_nothing(seed):
    case = world(seed)
    plan = planned(load(case), case)
    outcomes = plan.outcomes

    cells = set(zip(plan.copies.dataset.tolist(), plan.copies.site.tolist(), strict=True))
    reached = set()
    for proposer, place, site, reason in zip(
        outcomes.proposer.tolist(),
        outcomes.place.tolist(),
        outcomes.site.tolist(),
        outcomes.reason.tolist(),
        strict=True,
    ):
        proposals = plan.proposals[plan.proposers[proposer]]
        if ProposalOutcome(reason).accepted:
            reached.add((int(proposals.dataset[place]), site))
        elif proposals.site[place] < 0:
            assert site == -1
    assert cells == reached
