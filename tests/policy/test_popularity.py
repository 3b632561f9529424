"""The formulas behind the ranks."""

import numpy as np
import pytest

from dynamo.golden.cases import load
from dynamo.policy.popularity import request_weight, usage_rank
from tests.detox.drawing import DAY, NOW, case


def test_the_usage_rank_is_days_without_use_less_accesses_per_gigabyte():
    drawn = case("dataset S1 age\n/A/E/F full 100\n/B/E/F full 30\n/C/E/F full 100", "Dismiss")
    drawn["inventory"]["datasets"][2]["replicas"][0]["blocks"][0]["last_update"] = NOW - 3 * DAY
    snapshot = load(drawn).snapshot
    last_access = np.array([NOW - 20 * DAY, 0, 0])

    rank = usage_rank(snapshot, last_access, np.array([4000.0, 0.0, 0.0]), NOW)

    assert rank.tolist() == pytest.approx([20 - 4000 / 2000, 30, 3])


def test_a_dataset_without_bytes_has_no_accesses_per_gigabyte():
    drawn = case("dataset S1 age\n/A/E/F full 10", "Dismiss")
    for block in drawn["inventory"]["datasets"][0]["blocks"]:
        block["size"] = 0

    assert usage_rank(load(drawn).snapshot, np.zeros(1, np.int64), np.ones(1), NOW).tolist() == [
        10.0
    ]


def test_a_waiting_job_is_worth_half_after_four_days():
    found = request_weight([2, 2, 0], [NOW, NOW - 4 * DAY, NOW - 8 * DAY], 3, NOW)

    assert found.tolist() == pytest.approx([0.25, 0.0, 1.5])
