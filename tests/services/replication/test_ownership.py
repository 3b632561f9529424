"""Changes of owner: the account changes with it, and no limit of the new one is passed."""

from collections import Counter
from threading import Barrier, Thread
from typing import Any

import pytest
from sqlalchemy import select

from dynamo.db.tables import BlockReplica, Partition, Transfer
from dynamo.inventory import schemas
from dynamo.inventory.states import RequestKind
from dynamo.services import cancellation
from dynamo.services.copies import submission as copies_submission
from dynamo.services.dealer import cycle as dealer_cycle
from dynamo.services.dealer import planner
from dynamo.services.replication import scheduler
from dynamo.services.sites import sites
from tests.conftest import Clock
from tests.services.world import OPERATOR, World
from tests.steps.dealer_cycles import decided, run
from tests.steps.official import PROD, RAW, block, dataset, register

OTHER = "/Cosmics/Run2-v1/RAW"
SIZE = 201
"""Bytes of each block."""


def official(world: World, *datasets: dict[str, Any]) -> None:
    """Let datasets of production lie at T2_A, with room for production there."""
    sites.set_quota(world.ctx, "T2_A", "Production", schemas.QuotaBody(limit=10**6), OPERATOR)
    register(world, *datasets)


def room(world: World, n_bytes: int | None) -> None:
    """Give analysis so many bytes at T2_A."""
    sites.set_quota(world.ctx, "T2_A", "Analysis", schemas.QuotaBody(limit=n_bytes), OPERATOR)


def accounts(world: World) -> dict[str, int]:
    """Count the block replicas of each partition."""
    held = select(Partition.name).join(BlockReplica, BlockReplica.partition_id == Partition.id)
    with world.ctx.begin.reading() as work:
        return Counter(work.scalars(held))


def wish(name: str) -> schemas.Copy:
    return schemas.Copy(dataset=name, site="T2_A", group="analysis")


def test_two_plans_at_once_hand_over_no_more_than_fits(
    world: World, clock: Clock, monkeypatch: pytest.MonkeyPatch
):
    both = (dataset(block("b", dataset=name), name=name, open=False) for name in (RAW, OTHER))
    official(world, *both)
    room(world, SIZE + 100)
    requests = [copies_submission.file(world.ctx, wish(name), PROD) for name in (RAW, OTHER)]
    hints, world.published[:] = list(world.published), []
    planned, original = Barrier(2), scheduler.change

    def together(*given: Any) -> None:
        planned.wait()
        original(*given)

    monkeypatch.setattr(planner.scheduler, "change", together)
    threads = [Thread(target=world.take, args=(hint,)) for hint in hints]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    monkeypatch.undo()

    assert accounts(world) == {"Analysis": 1, "Production": 1}
    quota = sites.quota(world.ctx, "T2_A", "Analysis")
    assert (quota["projected"], quota["used"]) == (SIZE, SIZE)
    shown = [world.request("copy", request) for request in requests]
    assert {(one["state"], one.get("detail")) for one in shown} == {
        ("done", None),
        ("held", "no room for more at T2_A"),
    }

    room(world, None)
    clock.forward(minutes=2)
    world.sweep()
    assert accounts(world) == {"Analysis": 2}
    assert world.count(Transfer) == 0


def test_what_filled_the_partition_since_the_plan_is_noted_on_the_decision(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    official(world, dataset(*(block(f"b{number}") for number in range(3)), open=False))
    room(world, 10**6)
    groups = {"groups": {"from_groups": ["production"]}}
    world.ctx = world.with_settings(
        dealer={"groups": {"Production": "analysis"}, "proposers": groups}
    )
    look = dealer_cycle.load

    def then_fill(*given: Any) -> Any:
        seen = look(*given)
        room(world, 2 * SIZE + 100)
        return seen

    monkeypatch.setattr(dealer_cycle, "load", then_fill)

    cycle = run(world, "Production")

    assert accounts(world) == {"Analysis": 2, "Production": 1}
    assert [(one["action"], one["refused"]) for one in decided(world, cycle)] == [
        ("hand-over", "storage-full")
    ]
    assert cycle["summary"]["refused"] == {"storage-full": 1}


def test_what_an_open_request_names_the_owner_of_is_handed_to_nobody_else(
    world: World, clock: Clock
):
    official(world, dataset(block("b1", open=False)))
    room(world, 10**6)
    groups = ("analysis", "production")
    waiting, keeping = [
        copies_submission.file(world.ctx, schemas.Copy(dataset=RAW, site="T2_A", group=group), PROD)
        for group in groups
    ]
    for _ in range(3):
        world.work()
        run(world, "Production")
        clock.forward(minutes=40)
        world.sweep()
        assert accounts(world) == {"Production": 1}
    told = world.request("copy", waiting)
    assert (told["state"], told["reason"]) == ("running", "waiting")
    assert told["detail"] == "another request keeps it at T2_A for the group it names"

    cancellation.cancel(world.ctx, RequestKind.COPY, keeping, PROD)
    clock.forward(minutes=40)
    world.sweep()
    world.work()
    assert accounts(world) == {"Analysis": 1}
