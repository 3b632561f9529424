"""How full partitions are at sites, as the accounts say; which blocks are still being filled."""

import numpy as np
from sqlalchemy import select

from dynamo.db import columns
from dynamo.db.columns import Rows
from dynamo.db.snapshot import EVERYTHING, Extent
from dynamo.db.tables import Partition, Quota
from dynamo.db.work import Work
from dynamo.inventory.snapshot import Amounts, Flags, Snapshot


def accounts(work: Work, snapshot: Snapshot) -> tuple[Amounts, Amounts]:
    """Return bytes there and bytes in all, per partition (row) and site (column) of a snapshot."""
    names = [one.name for one in snapshot.partitions]
    keys = dict(work.rows(select(Partition.id, Partition.name)))
    column = {key: place for place, key in enumerate(snapshot.sites.ids.tolist())}
    physical = np.zeros((len(names), len(column)), np.int64)
    projected = np.zeros_like(physical)
    wanted = (Quota.partition_id, Quota.site_id, Quota.used, Quota.projected)
    for row in work.rows(select(*wanted)):
        place = (names.index(keys[row.partition_id]), column[row.site_id])
        physical[place], projected[place] = row.used, row.projected
    return physical, projected


def partition_keys(work: Work) -> dict[str, int]:
    """Return the keys of all partitions by name."""
    return dict(work.rows(select(Partition.name, Partition.id)))


def open_blocks(work: Work, snapshot: Snapshot, extent: Extent = EVERYTHING) -> Flags:
    """Tell which blocks are not to be copied: they are still being filled, or empty."""
    where = extent.within("dataset_id", "(closed = 0 OR n_files = 0)")
    (ids,) = columns.numbers(work, Rows("blocks", ("id",), where))
    return np.isin(snapshot.blocks.ids, ids)
