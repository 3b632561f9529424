"""When an operation rests at a site, and how it is tried again."""

import itertools
import random
from datetime import UTC, datetime, timedelta

from dynamo.operations.breakers import Breaker, Position, Rules

NOW = datetime(2026, 11, 22, tzinfo=UTC)
RULES = Rules()


def seen(breaker: Breaker, done: int, failed: int, now: datetime) -> Breaker:
    """Take in results as the rows do."""
    after = breaker.after(done, failed, now, RULES)
    enough = failed and after.is_enough(now, RULES)
    return after.opened(now, RULES, random.Random(3)) if enough else after


def test_it_opens_when_nearly_all_fails_and_not_before() -> None:
    assert seen(Breaker(NOW), 0, 4, NOW).position(NOW) is Position.CLOSED
    assert seen(Breaker(NOW), 0, 5, NOW).position(NOW) is Position.OPEN
    assert seen(Breaker(NOW), 2, 5, NOW).position(NOW) is Position.CLOSED
    assert seen(Breaker(NOW), 25, 100, NOW).position(NOW) is Position.OPEN


def test_what_failed_long_ago_does_not_count() -> None:
    breaker = seen(Breaker(NOW), 0, 4, NOW)
    later = NOW + timedelta(hours=2)
    assert seen(breaker, 0, 4, later).position(later) is Position.CLOSED
    assert seen(breaker, 0, 4, NOW + timedelta(minutes=1)).position(NOW) is Position.OPEN


def test_a_trial_that_fails_opens_it_for_longer_each_time_up_to_a_limit() -> None:
    breaker, now, pauses = seen(Breaker(NOW), 0, 5, NOW), NOW, []
    for _ in range(12):
        assert breaker.until is not None
        pauses.append((breaker.until - now).total_seconds())
        assert breaker.position(breaker.until - timedelta(seconds=1)) is Position.OPEN
        now = breaker.until
        assert breaker.position(now) is Position.HALF_OPEN
        breaker = seen(breaker, 0, 1, now)
    assert 45 <= pauses[0] <= 60
    assert all(earlier < later for earlier, later in itertools.pairwise(pauses[:6]))
    assert max(pauses) <= 3600


def test_what_still_fails_while_it_is_open_does_not_prolong_it() -> None:
    breaker = seen(Breaker(NOW), 0, 5, NOW)
    assert seen(breaker, 0, 50, NOW).until == breaker.until


def test_one_success_closes_it_and_all_is_forgotten() -> None:
    breaker = seen(Breaker(NOW), 0, 5, NOW)
    assert breaker.until is not None
    mended = seen(breaker, 1, 0, breaker.until)
    assert mended.position(breaker.until) is Position.CLOSED
    assert (mended.trips, mended.is_clear) == (0, True)
