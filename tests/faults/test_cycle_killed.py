"""A cycle of Detox with real processes and real files, whose workers are killed in mid work."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, func, select

from dynamo.db.catalogue import replicas
from dynamo.db.tables import Block, Cycle, Deletion, History
from dynamo.inventory import schemas
from dynamo.services.cycles import submission as cycles_submission
from dynamo.services.cycles import views as cycles_views
from dynamo.services.policies import policies
from tests.faults.endings import assert_all_ended, how_many, seen
from tests.faults.plant import Plant, plant, quickly
from tests.servers import Broker
from tests.services.world import DATASET, OPERATOR

pytestmark = pytest.mark.slow

FILES = 30
TEXT = """Partition User
On site.name in [T2_A T2_B]
When always
Until never
Protect site.name == T2_B
Delete replica.num_full_other_copy_common_owner > 0
Protect
"""


def count(made: Plant, table: type) -> int:
    with made.world.ctx.begin.reading() as work:
        return int(work.scalar(select(func.count()).select_from(table)))


@pytest.fixture
def made(_mariadb: Engine, broker: Broker, tmp_path: Path) -> Iterator[Plant]:
    """Blocks of one file each; a cycle that does not move is given up after a second."""
    built = plant(_mariadb, broker, tmp_path, block={"max_files": 1}, detox={"lease_seconds": 1})
    yield built
    built.stop()


def test_killed_workers_cost_a_cycle_nothing(made: Plant):
    world = made.world
    pool = made.start("inject", "copy", "close", "policy")
    injected = world.many("T2_A", FILES)
    closed = world.close()
    made.until_done(("injection", injected), ("closure", closed))
    made.until_done(("copy", world.copy("T2_B", consolidate=False)))
    everything = seen(world.folder / "T2_A")
    policies.update(world.ctx, "User", schemas.PolicyBody(text=TEXT), OPERATOR)
    body = schemas.CycleBody(kind="detox", partition="User")

    # the second half of the plan waits for a lock of ours, and there its worker dies
    with world.ctx.begin() as work:
        replicas.lock_blocks(work, [work.scalar(select(func.max(Block.id)))])
        first = cycles_submission.file(world.ctx, body, OPERATOR)
        quickly(lambda: count(made, Deletion) > 0)
        pool.kill()
    some = count(made, Deletion)
    assert 0 < some < FILES
    made.start("inject", "copy", "close", "policy")
    made.until(lambda: cycles_views.get(world.ctx, first)["state"] == "failed")
    assert cycles_views.get(world.ctx, first)["reason"] == "worker-lost"

    second = cycles_submission.file(world.ctx, body, OPERATOR)
    made.until(lambda: cycles_views.get(world.ctx, second)["state"] == "done")
    assert cycles_views.get(world.ctx, second)["summary"]["condemned"]["blocks"] == FILES - some

    deleter = made.start("delete")
    quickly(lambda: how_many(world.folder / "T2_A") < FILES)
    deleter.kill()
    made.start("delete")
    requests = [cycles_views.get(world.ctx, one)["request"] for one in (first, second)]
    made.until_done(*(("deletion", one) for one in requests))

    assert seen(world.folder / "T2_A") == {}
    assert seen(world.folder / "T2_B") == everything
    assert len(everything) == FILES
    with world.ctx.begin.reading() as work:
        why = work.scalars(
            select(History.why).where(History.what == "condemned", History.dataset == DATASET)
        )
    assert len(why) == FILES
    line = "line 6: Delete replica.num_full_other_copy_common_owner > 0"
    assert all(said == f"detox, {line}" for said in why)
    assert count(made, Cycle) == 2
    assert_all_ended(world)
