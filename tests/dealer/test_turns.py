"""The order in which proposers have their turns."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynamo.dealer.engine import decide
from dynamo.dealer.proposer import WeightedProposer, participants
from dynamo.dealer.turns import drawn
from dynamo.errors import Invalid
from tests.dealer.drawing import Says, copies, question

PICTURE = """
    dataset  T2_A  T2_B
    /A/B/C   full  -
    /A/B/D   full  -
"""


@given(
    st.lists(st.tuples(st.integers(0, 40), st.sampled_from([1.0, 2.0, 3.0])), max_size=5),
    st.integers(0, 1000),
)
def test_everybody_has_as_many_turns_as_proposals(proposers, seed):
    counts, priorities = [count for count, _ in proposers], [one for _, one in proposers]

    turns = drawn(counts, priorities, np.random.default_rng(seed))

    assert Counter(turns.tolist()) == Counter(
        {place: count for place, count in enumerate(counts) if count}
    )


def test_half_the_priority_number_is_heard_twice_as_often():
    rng = np.random.default_rng(3)

    # the chances hold as long as all have something left
    turns = Counter(
        place for _ in range(300) for place in drawn([50, 50, 50], [1, 2, 4], rng)[:20].tolist()
    )

    for place, share in enumerate((4 / 7, 2 / 7, 1 / 7)):
        assert abs(turns[place] / 6000 - share) < 0.03


def test_priority_zero_silences_all_others():
    proposers = {
        "mild": WeightedProposer(Says("/A/B/C > T2_B"), 1),
        "firm": WeightedProposer(Says("/A/B/D > T2_B"), 0),
        "also": WeightedProposer(Says("/A/B/C#b1 > T2_B"), 0),
    }

    plan = decide(question(PICTURE), proposers)

    assert plan.proposers == ("also", "firm")
    assert copies(plan) == ["/A/B/C#b1 > T2_B", "/A/B/D > T2_B"]


def test_a_priority_that_is_no_number_is_refused():
    with pytest.raises(Invalid, match="bad, worse"):
        participants(
            {"bad": WeightedProposer(Says(), -1), "worse": WeightedProposer(Says(), float("nan"))}
        )
