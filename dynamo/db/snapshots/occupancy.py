"""How full partitions are at sites, as the accounts say; which blocks are still being filled."""

import numpy as np
from sqlalchemy import NotNullable, select

from dynamo.db.engine import column_reader
from dynamo.db.engine.column_reader import ColumnQuery
from dynamo.db.engine.expressions import total
from dynamo.db.engine.unit_of_work import Work
from dynamo.db.snapshots.loader import EVERYTHING, Extent
from dynamo.db.tables import Partition, Probe, Quota
from dynamo.inventory.snapshot import Amounts, Flags, Numbers, Snapshot


def accounts(work: Work, snapshot: Snapshot) -> tuple[Amounts, Amounts]:
    """Return bytes there and bytes in all, per partition (row) and site (column) of a snapshot."""
    names = [one.name for one in snapshot.partitions]
    keys = dict(work.rows(select(Partition.id, Partition.name)))
    column = _columns(snapshot)
    physical = np.zeros((len(names), len(column)), np.int64)
    projected = np.zeros_like(physical)
    wanted = (Quota.partition_id, Quota.site_id, Quota.used, Quota.projected)
    for partition, site, used, in_all in work.rows(select(*wanted)):
        place = (names.index(keys[partition]), column[site])
        physical[place], projected[place] = used, in_all
    return physical, projected


def used(work: Work, site_id: int) -> int:
    """Return the bytes that files of ours take at a site."""
    return work.value(select(total(Quota.used)).where(Quota.site_id == site_id))


def free(work: Work, snapshot: Snapshot, used: Amounts) -> Numbers:
    """Return the bytes that storages have left, by their last probes; NaN where none has told.

    What has come since the probe (`used` now, less what it was then) is taken off.
    """
    column = _columns(snapshot)
    found = np.full(len(column), np.nan)
    told = select(Probe.site_id, NotNullable(Probe.free), NotNullable(Probe.used)).where(
        Probe.free.is_not(None)
    )
    for site, free, before in work.rows(told):
        place = column[site]
        found[place] = max(free - (int(used[place]) - before), 0)
    return found


def _columns(snapshot: Snapshot) -> dict[int, int]:
    """Return the place of each site by key."""
    return {key: place for place, key in enumerate(snapshot.sites.ids.tolist())}


def partition_keys(work: Work) -> dict[str, int]:
    """Return the keys of all partitions by name."""
    return dict(work.rows(select(Partition.name, Partition.id)))


def open_blocks(work: Work, snapshot: Snapshot, extent: Extent = EVERYTHING) -> Flags:
    """Tell which blocks are not to be copied: they are still being filled, or empty."""
    where = extent.within("dataset_id", "(closed = 0 OR n_files = 0)")
    (ids,) = column_reader.numbers(work, ColumnQuery("blocks", ("id",), where))
    return np.isin(snapshot.blocks.ids, ids)
