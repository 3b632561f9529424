"""What is read and what is waited for, as it is reported and as policies see it."""

import math
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from dynamo.db.policies import popularity as popularity_rows
from dynamo.db.tables import Access, Demand
from dynamo.errors import DynamoError
from dynamo.inventory import schemas
from dynamo.inventory.callers import Caller
from dynamo.inventory.states import Role
from dynamo.services.deletions import submission as deletions_submission
from dynamo.services.popularity import accesses, demands
from tests.conftest import Clock
from tests.services.world import World
from tests.steps.official import PROD, RAW, block, dataset, register

AOD = "/Cosmics/Run1-v1/AOD"
BATCH = Caller("batch", frozenset({Role.OPERATOR}))
OTHER = Caller("other", frozenset({Role.OPERATOR}))
TODAY = date(2026, 11, 22)


@pytest.fixture(autouse=True)
def _data(world: World) -> None:
    register(world, dataset(block("b1")), dataset(block("b1", dataset=AOD), name=AOD))


def read(
    world: World, n: int, day: date = TODAY, name: str = RAW, site: str = "T2_A"
) -> schemas.AccessReport:
    one = schemas.AccessReport(dataset=name, site=site, date=day, accesses=n, cpu_seconds=1.5 * n)
    accesses.report(world.ctx, (one,))
    return one


def wait(world: World, jobs: int, since: datetime, name: str = RAW, by: Caller = BATCH) -> None:
    demands.report(world.ctx, (schemas.DemandReport(dataset=name, jobs=jobs, since=since),), by)


def accessed(world: World) -> dict[int, tuple[float, datetime]]:
    with world.ctx.begin.snapshot() as work:
        found = popularity_rows.accessed(work)
    return {
        int(key): (n, datetime.fromtimestamp(last, UTC))
        for key, n, last in zip(found.dataset_ids, found.num_access, found.last_access, strict=True)
    }


def waiting(world: World) -> list[tuple[int, float]]:
    with world.ctx.begin.snapshot() as work:
        found = popularity_rows.waiting(work)
    return list(zip(found.dataset_ids.tolist(), found.jobs.tolist(), strict=True))


def refused(call: object, *given: object) -> DynamoError:
    with pytest.raises(DynamoError) as error:
        call(*given)  # type: ignore[operator]
    return error.value


def test_accesses_are_summed_over_sites_and_days(world: World) -> None:
    read(world, 3)
    read(world, 4, site="T2_B")
    read(world, 5, TODAY - timedelta(days=7))
    read(world, 1, TODAY - timedelta(days=9), AOD)
    read(world, 0, TODAY, AOD)
    assert accessed(world) == {
        1: (12.0, datetime(2026, 11, 22, tzinfo=UTC)),
        2: (1.0, datetime(2026, 11, 13, tzinfo=UTC)),
    }


def test_a_day_that_is_reported_again_is_replaced(world: World) -> None:
    for n in (3, 3, 5):
        read(world, n)
    assert accessed(world)[1][0] == 5
    assert world.count(Access) == 1


def test_after_two_years_nobody_asks_any_more(world: World, clock: Clock) -> None:
    read(world, 3)
    clock.forward(days=729)
    assert accessed(world)[1][0] == 3
    clock.forward(days=2)
    assert accessed(world) == {}
    with world.ctx.begin() as work:
        assert popularity_rows.purge(work) == 1


def test_reports_of_the_unknown_are_refused_as_a_whole(world: World) -> None:
    good = schemas.AccessReport(dataset=RAW, site="T2_A", date=TODAY, accesses=1)
    for fields, reason, pointer in (
        ({"dataset": "/no/such/DATA"}, "dataset-unknown", "/1/dataset"),
        ({"site": "T9"}, "site-unknown", "/1/site"),
        ({"date": TODAY + timedelta(days=2)}, "invalid", "/1/date"),
        ({}, "invalid", "/1"),
    ):
        told = {"dataset": RAW, "site": "T2_A", "date": TODAY, "accesses": 2, **fields}
        error = refused(accesses.report, world.ctx, (good, schemas.AccessReport(**told)))
        assert (error.reason, error.faults[0].pointer) == (reason, pointer)
    assert world.count(Access) == 0


def test_waiting_jobs_are_replaced_per_caller_and_moment(world: World, clock: Clock) -> None:
    early = clock.now - timedelta(days=4)
    wait(world, 10, early)
    wait(world, 8, early)
    wait(world, 2, early, by=OTHER)
    wait(world, 1, clock.now)
    wait(world, 0, clock.now, AOD)
    assert waiting(world) == [(1, 10.0), (1, 1.0)]
    assert world.count(Demand) == 4


def test_demands_of_another_time_are_refused(world: World, clock: Clock) -> None:
    for since in (clock.now + timedelta(hours=1), clock.now - timedelta(days=366)):
        assert refused(wait, world, 1, since).faults[0].pointer == "/0/since"
    assert refused(wait, world, 1, clock.now, "/no/such/DATA").reason == "dataset-unknown"


def test_policies_see_it_dataset_by_dataset(world: World, clock: Clock) -> None:
    read(world, 3, TODAY - timedelta(days=1))
    wait(world, 10, clock.now - timedelta(days=4))
    wait(world, 1, clock.now, AOD)
    with world.ctx.begin.snapshot() as work:
        keys = np.array([7, 2, 1])
        found = popularity_rows.columns(work, keys, clock.now.timestamp())
    assert found["num_access"].tolist() == [0, 0, 3]
    assert found["recent_accesses"].tolist() == [0, 0, 3]
    assert found["last_access"].tolist() == [0, 0, datetime(2026, 11, 21, tzinfo=UTC).timestamp()]
    assert found["request_weight"].tolist() == [0, 1, 5]


def test_accesses_of_the_last_seven_days_are_recent(world: World, clock: Clock) -> None:
    for days, times in ((1, 2), (7, 8), (8, 9), (400, 401)):
        read(world, times, TODAY - timedelta(days=days))
    with world.ctx.begin.snapshot() as work:
        found = popularity_rows.columns(work, np.array([1]), clock.now.timestamp())
    assert found["recent_accesses"].tolist() == [2 + 8]
    assert found["num_access"].tolist() == [2 + 8 + 9 + 401]


def test_a_job_is_worth_half_after_four_days(world: World, clock: Clock) -> None:
    wait(world, 1, clock.now - timedelta(days=2))
    with world.ctx.begin.snapshot() as work:
        found = popularity_rows.columns(work, np.array([1]), clock.now.timestamp())
    assert math.isclose(found["request_weight"][0], 0.5**0.5)


def test_what_is_known_of_a_dataset_goes_with_it(world: World, clock: Clock) -> None:
    read(world, 3)
    wait(world, 3, clock.now)
    deletions_submission.file(world.ctx, schemas.Deletion(dataset=RAW), PROD)
    world.work()
    clock.forward(days=2)
    world.sweep()
    assert world.count(Access) == world.count(Demand) == 0


def test_twenty_thousand_reports_come_in_one_call(world: World) -> None:
    days = [TODAY - timedelta(days=n) for n in range(700)]
    many = [
        schemas.AccessReport(dataset=name, site=site, date=day, accesses=1)
        for name in (RAW, AOD)
        for site in ("T2_A", "T2_B", "T2_C")
        for day in days
    ]
    for _ in range(2):
        assert accesses.report(world.ctx, many) == 4200
    assert accessed(world)[1][0] == 2100
