"""The snapshot: what the rows say, as columns, and the same again from its file."""

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select, update

from dynamo.db.engine.unit_of_work import UnitOfWork
from dynamo.db.snapshots import file as snapshot_file
from dynamo.db.snapshots import loader as snapshot_loader
from dynamo.db.tables import BlockReplica, Dataset, Group, Lock, Partition, Quota, Site
from dynamo.inventory.snapshot import DATASET_STATUSES, Snapshot
from dynamo.operations.hints import Hint
from tests.conftest import Clock
from tests.services.world import DATASET, World, build


@pytest.fixture
def world(begin: UnitOfWork, tmp_path: Path, published: list[Hint]) -> World:
    """Seven files in two blocks at T2_A and T2_B; T2_C has nothing."""
    small = build(begin, tmp_path, published, block={"max_files": 5})
    for name in ("T2_B", "T2_A", "T2_C"):
        small.site(name)
    small.many("T2_A", 7)
    small.work()
    small.close()
    small.work()
    small.copy("T2_B", consolidate=False)
    small.work()
    return small


def loaded(world: World) -> Snapshot:
    with world.ctx.begin.snapshot() as work:
        return snapshot_loader.load(work, ("T2_C",))


def at(columns: Snapshot, site: str) -> list[int]:
    """Return the bytes of each block replica at a site."""
    rows = columns.block_replicas
    here = columns.replicas.site[rows.replica] == columns.sites.labels.find(site)
    return sorted(rows.size[here].tolist())


def test_every_row_is_found_again(world: World, clock: Clock):
    columns = loaded(world)

    assert list(columns.sites.labels) == ["T2_A", "T2_B", "T2_C"]
    assert list(columns.datasets.labels) == [DATASET]
    assert columns.datasets.n_blocks.tolist() == [2]
    assert sorted(columns.blocks.n_files.tolist()) == [2, 5]
    assert at(columns, "T2_A") == at(columns, "T2_B") == sorted(columns.blocks.size.tolist())
    assert at(columns, "T2_C") == []
    rows = columns.block_replicas
    assert rows.complete.tolist() == [True] * 4
    assert set(rows.updated.tolist()) == {int(clock.now.timestamp())}
    assert {columns.groups.labels[code] for code in rows.group.tolist()} == {"analysis"}
    with world.ctx.begin.reading() as work:
        assert sorted(rows.ids.tolist()) == work.scalars(
            select(BlockReplica.id).order_by(BlockReplica.id)
        )


def test_what_is_condemned_is_neither_a_copy_nor_on_the_disk(world: World):
    world.delete(site="T2_B")
    world.work()

    columns = loaded(world)

    assert at(columns, "T2_B") == []
    assert len(at(columns, "T2_A")) == 2
    assert columns.replicas.site.tolist() == [0]


def test_quotas_keep_none_apart_from_nothing_and_from_everything(world: World):
    with world.ctx.begin() as work:
        user = work.scalar(select(Partition.id).where(Partition.name == "User"))
        site = work.scalar(select(Site.id).where(Site.name == "T2_A"))
        work.changed(update(Quota).where(Quota.site_id == site).values(max_bytes=None))
        site = work.scalar(select(Site.id).where(Site.name == "T2_B"))
        work.changed(update(Quota).where(Quota.site_id == site).values(max_bytes=0))
        analysis = work.scalar(select(Partition.id).where(Partition.name == "Analysis"))
        assert user != analysis

    columns = loaded(world)

    names = [definition.name for definition in columns.partitions]
    quotas = columns.quotas[names.index("User")]
    assert quotas[0] == np.inf
    assert quotas[1] == 0
    assert np.isnan(columns.quotas[names.index("Analysis")]).all()


def test_locks_statuses_owners_and_open_copies_are_there(world: World, clock: Clock):
    with world.ctx.begin() as work:
        for number, (item, hours) in enumerate([(DATASET, 1), ("/Old/*/USER", -1)]):
            work.add(
                Lock,
                identity=bytes([number]) * 16,
                owner="bob",
                dataset=item,
                block=None,
                sites=["T2_A", "T2_B"],
                groups=[],
                why=None,
                created=clock.now,
                expires=clock.now + timedelta(hours=hours),
            )
        work.changed(update(Dataset).values(status="deprecated"))
        work.changed(update(BlockReplica).values(group_id=None))
        work.add(Group, name="zoo", level="block")
    world.copy("T2_C", consolidate=False)

    columns = loaded(world)

    assert [(lock.dataset, lock.sites) for lock in columns.locks] == [
        (DATASET, "T2_A"),
        (DATASET, "T2_B"),
    ]
    assert columns.datasets.status.tolist() == [DATASET_STATUSES.index("deprecated")]
    assert set(columns.block_replicas.group.tolist()) == {0}
    assert columns.groups.whole.tolist() == [False, True, False, False]
    assert columns.waiting_copies == {DATASET}
    assert columns.protected_sites == {"T2_C"}


def test_an_empty_inventory_is_a_snapshot_as_well(begin: UnitOfWork):
    with begin.snapshot() as work:
        columns = snapshot_loader.load(work)

    assert len(columns.datasets.ids) == len(columns.block_replicas.ids) == 0


def test_a_snapshot_in_a_file_is_the_same_again(world: World, clock: Clock, tmp_path: Path):
    columns = loaded(world)
    path = tmp_path / "cycles" / "1.npz"

    snapshot_file.save(columns, clock.now.timestamp(), path)
    again, moment = snapshot_file.read(path)

    assert moment == clock.now.timestamp()
    assert again.datasets.labels == columns.datasets.labels
    assert again.partitions == columns.partitions
    assert again.block_replicas.ids.tolist() == columns.block_replicas.ids.tolist()
    assert again.attributes.keys() == columns.attributes.keys()
    assert again.blocks.names is None
    assert [path.name for path in path.parent.iterdir()] == ["1.npz"]
