"""What cycles do beside demand: placement rules are kept, dying sites emptied, full ones eased."""

import json
from typing import Any

from sqlalchemy import select

from dynamo.db.tables import Deletion
from dynamo.inventory import asked
from dynamo.services import cycles, rules
from tests.conftest import Clock
from tests.services.test_dealing import at, decided, run
from tests.services.world import OPERATOR, World

EVERYWHERE = {
    "num_copies": 2,
    "replicas": ["dataset.name == /*/*/USER"],
    "destinations": ["site.name in [T2_B T2_C]"],
    "sources": ["site.storage_type == DISK"],
    "destination_group": "analysis",
}


def enforce(world: World, **rule: Any) -> None:
    text = json.dumps({"partition": "User", "rules": {"some": {**EVERYWHERE, **rule}}})
    rules.put(world.use, "User", asked.PolicyBody(text=text), OPERATOR)


def detox(world: World) -> None:
    """Run a cycle of Detox, whose protections the Dealer looks at."""
    cycles.file(world.use, asked.CycleBody(kind="detox", partition="User"), OPERATOR)
    world.work()


def test_a_placement_rule_is_kept(world: World):
    world.many("T2_A", 5)
    world.close()
    world.work()
    enforce(world)

    cycle = run(world)
    world.work()

    assert at(world) == [5, 5, 5]
    assert {one["text"] for one in decided(world, cycle)} == {"enforcer: copied"}
    assert run(world)["summary"]["copies"] == 0


def test_a_rule_that_spreads_shares_the_blocks_out(world: World):
    for start in range(0, 20, 5):
        world.many("T2_A", 5, start=start)
    world.close()
    world.work()
    enforce(world, num_copies=1, spread=True)

    run(world)
    world.work()

    assert at(world) == [20, 10, 10]
    assert run(world)["summary"]["copies"] == 0


def test_a_site_in_the_morgue_is_emptied_last_copies_first(world: World, clock: Clock):
    for start in (0, 5):
        world.many("T2_A", 5, start=start)
    world.close()
    world.work()
    detox(world)
    world.status("T2_A", "morgue")

    cycle = run(world)
    world.work()

    assert sum(at(world)[1:]) == 10
    assert [one["text"] for one in decided(world, cycle)] == ["undertaker: copied"]
    detox(world)
    clock.forward(hours=25)
    world.sweep()
    assert at(world)[0] == 0
    with world.use.begin.reading() as work:
        assert work.scalars(select(Deletion.id)) == []
    assert sum(at(world)) == 10


def test_a_volume_limit_does_not_hold_back_the_last_copies_of_a_dying_site(world: World):
    world.many("T2_A", 5)
    world.close()
    world.work()
    world.use = world.with_settings(dealer={"volume": 1})
    world.status("T2_A", "morgue")

    run(world)
    world.work()

    assert sorted(at(world)) == [0, 5, 5]
