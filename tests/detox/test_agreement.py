"""The engine decides exactly as its description does, on random inventories and policies.

In the ordinary suite the same ones each time; `make nightly` draws many anew.
"""

import os

import pytest
from hypothesis import HealthCheck, given, settings

from dynamo.golden import conditions as golden_conditions
from dynamo.golden import detox as golden_detox
from dynamo.policy.variables import VARIABLES, Kind
from tests.detox.naive import Detox, true_for
from tests.detox.worlds import DRAWN, cases, questions

NIGHTLY = os.environ.get("NIGHTLY") == "1"


def played(worlds, times):
    """Play a few, or at night many."""
    chosen = settings(
        max_examples=150 * times if NIGHTLY else times,
        derandomize=not NIGHTLY,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )
    limit = pytest.mark.timeout(0 if NIGHTLY else 180)
    return lambda test: limit(chosen(given(worlds)(test)))


@played(cases, 400)
def test_columns_decide_like_plain_objects(case):
    fast = golden_detox.detox(case)

    slow = Detox(case).run()

    assert fast["status"] == "ok"
    assert {key: fast[key] for key in slow} == slow


@played(questions, 100)
def test_conditions_hold_where_plain_objects_say(case):
    assert golden_conditions.conditions(case)["true_for"] == true_for(case, case["conditions"])


def test_every_variable_is_drawn():
    assert {one.name for one in VARIABLES if one.kind is not Kind.BOOL} == set(DRAWN)
