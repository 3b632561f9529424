"""The engine decides exactly as its description does, on random inventories and policies.

In the ordinary suite the same ones each time; `make nightly` draws many anew.
"""

import os

import pytest
from hypothesis import HealthCheck, given, settings

from dynamo.cli import replay
from dynamo.policy.variables import VARIABLES, Kind
from tests.detox.naive import Detox
from tests.detox.worlds import DRAWN, cases

NIGHTLY = os.environ.get("NIGHTLY") == "1"


@pytest.mark.timeout(0 if NIGHTLY else 180)
@settings(
    max_examples=60_000 if NIGHTLY else 400,
    derandomize=not NIGHTLY,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)
@given(cases)
def test_columns_decide_like_plain_objects(case):
    fast = replay.detox(case)

    slow = Detox(case).run()

    assert fast["status"] == "ok"
    assert {key: fast[key] for key in slow} == slow


def test_every_variable_is_drawn():
    assert {one.name for one in VARIABLES if one.kind is not Kind.BOOL} == set(DRAWN)
