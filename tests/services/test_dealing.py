"""Cycles of the Dealer, end to end: real files at three sites, and where they come to lie."""

from typing import Any

from dynamo.db.tables import Transfer
from dynamo.inventory import asked
from dynamo.services import cycles, demands
from dynamo.services.pages import Place
from tests.conftest import Clock
from tests.services.world import DATASET, OPERATOR, World

SITES = ("T2_A", "T2_B", "T2_C")


def run(world: World, partition: str = "User", *, dry: bool = False) -> dict[str, Any]:
    """Run a cycle as an operator asks for it, without the copies that come of it; return it."""
    body = asked.CycleBody(kind="dealer", partition=partition, dry_run=dry)
    cycle_id = cycles.file(world.use, body, OPERATOR)
    world.step("cycle")
    return cycles.show(world.use, cycle_id)


def decided(world: World, cycle: dict[str, Any]) -> list[dict[str, Any]]:
    return list(cycles.decided(world.use, cycle["id"], None, None, Place(None, 1000)).items)


def waiting(world: World, jobs: int, clock: Clock) -> None:
    """Let jobs of the batch system wait for the dataset."""
    said = asked.DemandReport(dataset=DATASET, jobs=jobs, since=clock.now)
    demands.report(world.use, (said,), OPERATOR)


def at(world: World) -> list[int]:
    """Count the files at each site."""
    return [len(world.on_disk(site)) for site in SITES]


def popular(world: World, clock: Clock, jobs: int = 3) -> None:
    """Let five files lie at T2_A that jobs wait for: every 1.75 of them want a copy."""
    world.many("T2_A", 5)
    world.close()
    world.work()
    waiting(world, jobs, clock)


def test_demand_makes_copies_and_every_copy_names_its_reason(world: World, clock: Clock):
    popular(world, clock, jobs=5)

    cycle = run(world)
    world.work()

    assert (cycle["state"], cycle["reason"]) == ("done", None)
    assert at(world) == [5, 5, 5]
    assert cycle["summary"]["proposers"]["popularity"] == {"accepted": 2}
    assert cycle["summary"]["done"]["files"] == 10
    assert {(one["site"], one["action"], one["text"]) for one in decided(world, cycle)} == {
        (site, "copy", "popularity: copied") for site in ("T2_B", "T2_C")
    }
    told = cycles.why(world.use, DATASET, "T2_B")["items"]
    assert [(one["kind"], one["values"]["proposer"]) for one in told] == [("dealer", "popularity")]
    clock.forward(minutes=2)
    world.sweep()
    assert world.request("copy", cycle["request"])["state"] == "done"
    assert run(world)["summary"]["copies"] == 0  # there are as many as are wanted


def test_a_dry_run_keeps_its_plan_and_changes_nothing(world: World, clock: Clock):
    popular(world, clock)

    cycle = run(world, dry=True)
    world.work()

    assert cycle["summary"]["copies"] == 1
    assert [one["action"] for one in decided(world, cycle)] == ["copy"]
    assert at(world) == [5, 0, 0]
    assert cycle["request"] is None
    assert world.count(Transfer) == 5
