"""What is kept of a plan: the same in columns as one would write it decision by decision."""

import json
from itertools import groupby

from hypothesis import HealthCheck, given, settings

from dynamo.detox.decision_records import ACTIONS, records
from dynamo.detox.engine import Question, decide
from dynamo.detox.limits import Limits
from dynamo.detox.plan import Verdict
from dynamo.golden.cases import load
from dynamo.policy.comparisons import Texts
from dynamo.policy.placement_rules import enforcer_from
from dynamo.policy.reader import read_policy
from dynamo.policy.variables import Kind, Level
from tests.detox.drawing import TB, case
from tests.detox.worlds import cases

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


def planned(drawn, limits=None):
    world = load(drawn)
    rules = drawn["inventory"].get("enforcer")
    asked = Question(
        world.snapshot,
        world.partitions,
        read_policy(drawn["policy"]).policy,
        world.now,
        (enforcer_from(rules),) if rules else (),
    )
    return decide(asked, limits)


def kept(plan, at_once=10_000):
    """All records of a plan, as plain values."""
    found = []
    for some in records(plan, at_once):
        for n in range(len(some.facts)):
            rows = some.rows[some.first[n] : some.first[n + 1]].tolist()
            number = int(some.line[n])
            action, facts = ACTIONS[some.action[n]], json.loads(some.facts[n])
            sums = int(some.n_files[n]), int(some.size[n])
            found.append((action, number, bool(some.whole[n]), rows, *sums, facts))
    return found


# --- the same, plainly ---------------------------------------------------------------------------


def plainly(plan):
    """All records of a plan, one decision after the other."""
    done = plan.deletions
    for _, places in groupby(range(len(done.row)), lambda place: int(done.step[place])):
        some = list(places)
        action = "held-back" if done.held[some[0]] else "delete"
        yield from _split(plan, action, int(done.line[some[0]]), done.row[some].tolist())
    for one in plan.each_decision():
        if one.verdict is not Verdict.DELETE:
            action = "protect" if one.verdict is Verdict.PROTECT else "keep"
            yield from _split(plan, action, one.line, one.rows.tolist())
    handed = zip(plan.hand_overs.row.tolist(), plan.hand_overs.group.tolist(), strict=True)
    for (_, group), pairs in groupby(
        handed, lambda pair: (int(plan.rows.replica[pair[0]]), pair[1])
    ):
        rows = [row for row, _ in pairs]
        facts = {"group": plan.snapshot.groups.labels[group]}
        yield from _split(plan, "hand-over", -1, rows, facts)


def _split(plan, action, number, rows, facts=None):
    replica = int(plan.image.replica[rows[0]])
    whole = len(rows) == int((plan.image.replica == replica).sum())
    facts = _facts(plan, plan.line(number), rows) if facts is None else facts
    for some in [rows] if whole else [[row] for row in rows]:
        parts = plan.snapshot.block_replicas
        sources = [int(plan.rows.source[row]) for row in some]
        n_files = sum(int(parts.n_files[source]) for source in sources if source >= 0)
        size = sum(int(plan.rows.size[row]) for row in some)
        yield action, number, whole, some, n_files, size, facts


def _facts(plan, line, rows):
    facts = {}
    for variable in line.condition.variables if line.condition else ():
        if variable.fixed is None and variable.name not in plan.evidence:
            continue
        of = rows if variable.level is Level.BLOCK else rows[:1]
        values = sorted({_value(plan, variable, row) for row in of})
        shown = [_shown(variable, value, labels) for value, labels in values]
        facts[variable.name] = shown if len(shown) > 1 else shown[0]
    return facts


def _value(plan, variable, row):
    replica = int(plan.image.replica[row])
    if variable.fixed is None:
        known = plan.evidence[variable.name]
        return known.values[row if known.by_row else replica].item(), known.labels
    natural = {
        Level.BLOCK: row,
        Level.REPLICA: replica,
        Level.DATASET: int(plan.image.dataset[replica]),
        Level.SITE: int(plan.image.site[replica]),
    }[variable.level]
    known = variable.fixed(plan.image)
    if not isinstance(known, Texts):
        return known[natural].item(), None
    return (natural if known.codes is None else int(known.codes[natural])), tuple(known.labels)


def _shown(variable, value, labels):
    if labels is not None:
        return labels[value]
    if variable.kind is Kind.WORD:
        return next(word for word, code in variable.words.items() if code == value)
    return bool(value) if variable.kind is Kind.BOOL else value


# --- tests ---------------------------------------------------------------------------------------


@settings(
    max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)
@given(cases)
def test_columns_say_what_decisions_say(drawn):
    plan = planned(drawn, Limits(per_round=0.2, bytes_per_site=5 * TB))

    assert kept(plan, at_once=3) == list(plainly(plan))


def test_each_names_its_line_and_the_values_at_the_time_of_the_decision():
    plan = planned(case(PICTURE, POLICY))

    found = kept(plan)

    names = plan.snapshot.datasets.labels, plan.snapshot.sites.labels
    about = {
        (names[0][plan.rows.dataset[rows[0]]], names[1][plan.rows.site[rows[0]]], number): rest
        for _, number, _, rows, *rest in found
    }
    assert [one[:2] for one in found].count(("delete", 3)) == 1
    assert about["/A/E/F", "S1", 3] == [
        8,
        2 * TB,
        {"dataset.usage_rank": 150.0, "site.storage_type": "DISK"},
    ]
    assert about["/A/E/F", "S2", 2][-1] == {
        "replica.num_full_other_copy_common_owner": 0,
        "dataset.status": "VALID",
    }
    assert about["/B/E/F", "S1", 1][-1] == {"blockreplica.owner": "B", "dataset.usage_rank": 5.0}
    assert plan.line(2).at == 6
    assert plan.line(3).text == "Dismiss dataset.usage_rank > 100 and site.storage_type == DISK"


def test_different_values_of_blocks_are_all_told():
    policy = "Delete blockreplica.owner in [A B]\nProtect"
    (only,) = kept(planned(case("dataset S1\n/B/E/F AB", policy)))

    assert only[0] == "delete"
    assert only[-1] == {"blockreplica.owner": ["A", "B"]}


def test_a_plan_of_nothing_keeps_nothing():
    assert kept(planned(case(PICTURE, "Ignore"))) == []
