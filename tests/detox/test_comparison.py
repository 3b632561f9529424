"""What one policy deletes and another does not."""

from dynamo.detox.comparison import compared
from dynamo.detox.engine import Question, decide
from dynamo.golden.cases import load
from dynamo.policy.reader import read_policy
from tests.detox.drawing import TB, case, text

PICTURE = """
    dataset  S1    S2    rank
    /A/E/F   full  full  150
    /B/E/F   ABAB  -     5
"""
POLICY = """
    ProtectBlock blockreplica.owner == B and dataset.usage_rank < 10
    Protect replica.num_full_other_copy_common_owner == 0 and dataset.status != INVALID
    Dismiss dataset.usage_rank > 100 and site.storage_type == DISK
    Protect
"""


def test_two_policies_side_by_side():
    drawn = case(PICTURE, POLICY)
    loaded = load(drawn)

    def plan(lines):
        return decide(
            Question(
                loaded.snapshot, loaded.partitions, read_policy(text(lines)).policy, loaded.now
            )
        )

    mild, strict = (
        plan("Delete dataset.name == /A/* and site.name == S1\nProtect"),
        plan("Delete dataset.name == /*/*/* and site.name == S1\nProtect"),
    )
    other = plan("Delete site.name == S2\nProtect")

    found = compared(mild, strict)
    assert (found.only_first, found.both) == ((), 2 * TB)
    assert [(one.site, one.dataset, one.size) for one in found.only_second] == [
        ("S1", "/B/E/F", 4 * TB)
    ]
    assert [one.site for one in compared(mild, other).only_first] == ["S1"]
    assert [one.site for one in compared(mild, other).only_second] == ["S2"]
