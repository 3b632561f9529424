"""No more than a set volume leaves a site at once, whoever deletes: the rest waits, none fails."""

from dataclasses import replace

import pytest
from sqlalchemy import select

from dynamo.db.tables import BlockReplica, Deletion, File
from dynamo.inventory import schemas
from dynamo.inventory.states import ReplicaState
from dynamo.services.cycles import runner as cycles_runner
from dynamo.services.cycles import submission as cycles_submission
from dynamo.services.cycles import views as cycles_views
from dynamo.services.maintenance import invariants
from dynamo.services.policies import policies
from tests.conftest import Clock
from tests.services.world import OPERATOR, World, lfn

ALL_BUT_THE_LAST = """Partition User
On site.name == *
When always
Until never
Protect site.name == T2_B
Delete replica.num_full_other_copy_common_owner > 0
Protect
"""


@pytest.fixture
def placed(world: World) -> World:
    """Seven files in two closed blocks at T2_A and T2_B; a byte may leave a site at once."""
    world.many("T2_A", 7)
    world.work()
    world.close()
    world.work()
    world.copy("T2_B", consolidate=False)
    world.work()
    return replace(world, ctx=world.with_settings(deletion={"site_bytes": 1}))


def leaving(world: World) -> int:
    with world.ctx.begin.reading() as work:
        condemned = BlockReplica.state == ReplicaState.CONDEMNED
        return len(work.scalars(select(BlockReplica.id).where(condemned)))


@pytest.mark.parametrize("where", [{"site": "T2_A"}, {}])
def test_a_users_deletion_waits_for_what_is_leaving_and_then_goes_on(
    placed: World, clock: Clock, where: dict[str, str]
) -> None:
    sites = 1 if where else 2
    request = placed.delete(**where)
    placed.work()

    shown = placed.request("deletion", request)
    assert (shown["state"], shown["reason"]) == ("running", "volume-limit")
    assert leaving(placed) == sites

    for _ in range(2):
        clock.forward(hours=25)
        placed.sweep()
        clock.forward(minutes=5)
        placed.sweep()
    shown = placed.request("deletion", request)
    assert (shown["state"], shown.get("reason")) == ("done", None)
    assert placed.on_disk("T2_A") == {}
    assert len(placed.on_disk("T2_B")) == (7 if where else 0)
    assert invariants.check(placed.ctx) == []


def test_single_files_wait_for_what_is_leaving_their_sites_too(placed: World, clock: Clock) -> None:
    request = placed.delete(lfns=tuple(lfn(f"T2_A_{number}.root") for number in range(3)))
    placed.work()

    shown = placed.request("deletion", request)
    assert (shown["state"], shown["reason"]) == ("running", "volume-limit")
    assert [placed.count(Deletion), placed.count(File, File.condemned_by.is_not(None))] == [2, 1]

    for _ in range(3):
        clock.forward(hours=25)
        placed.sweep()
        clock.forward(minutes=5)
        placed.sweep()
    shown = placed.request("deletion", request)
    assert (shown["state"], shown.get("reason")) == ("done", None)
    assert [len(placed.on_disk(site)) for site in ("T2_A", "T2_B")] == [4, 4]
    assert invariants.check(placed.ctx) == []


def test_replicas_wait_for_single_files_that_are_leaving(placed: World, clock: Clock) -> None:
    placed.delete(lfns=(lfn("T2_A_0.root"),))
    placed.work()
    request = placed.delete(site="T2_A")
    placed.work()

    shown = placed.request("deletion", request)
    assert (shown["state"], shown["reason"]) == ("held", "volume-limit")
    assert leaving(placed) == 0

    for _ in range(4):
        clock.forward(hours=25)
        placed.sweep()
        clock.forward(minutes=5)
        placed.sweep()
    assert placed.request("deletion", request)["state"] == "done"
    assert [len(placed.on_disk(site)) for site in ("T2_A", "T2_B")] == [0, 6]


def test_a_cycle_names_what_it_leaves_for_the_next_one(placed: World) -> None:
    policies.update(placed.ctx, "User", schemas.PolicyBody(text=ALL_BUT_THE_LAST), OPERATOR)
    body = schemas.CycleBody(kind="detox", partition="User")
    cycles_runner.run(placed.ctx, [cycles_submission.file(placed.ctx, body, OPERATOR)])

    shown = cycles_views.get(placed.ctx, 1)
    assert shown["summary"]["refused"] == {"volume-limit": 1}
    assert shown["summary"]["condemned"]["blocks"] == leaving(placed) == 1
