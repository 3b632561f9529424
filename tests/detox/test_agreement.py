"""The engine decides exactly as its description does, on random inventories and policies."""

from hypothesis import HealthCheck, given, settings

from dynamo.cli import replay
from tests.detox.naive import Detox
from tests.detox.worlds import cases


@settings(
    max_examples=400, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)
@given(cases)
def test_columns_decide_like_plain_objects(case):
    fast = replay.detox(case)

    slow = Detox(case).run()

    assert fast["status"] == "ok"
    assert {key: fast[key] for key in slow} == slow
