"""Assigns a partition to replicas that do not exist yet."""

from dataclasses import dataclass, replace

import numpy as np

from dynamo.inventory.snapshot import Amounts, Codes, Snapshot
from dynamo.policy.image import Image, View
from dynamo.policy.partitions import Partitions

NOWHERE = -1


@dataclass(frozen=True, slots=True, eq=False)
class Imagined:
    """Columns of planned replicas: row numbers in a snapshot."""

    dataset: Codes
    site: Codes
    group: Codes


def destinations(
    snapshot: Snapshot, partitions: Partitions, planned: Imagined, now: float
) -> Codes:
    """Return for each planned replica the first partition that holds it, else `NOWHERE`.

    Partitions are numbered as in the snapshot; unions are left out.
    """
    partition_of = np.full(len(planned.dataset), NOWHERE, np.int32)
    if not len(partition_of):
        return partition_of
    order = np.lexsort((planned.site, planned.dataset))
    view = View.of(Image.whole(_imagined(snapshot, planned, order)))
    for number, definition in enumerate(snapshot.partitions):
        if partitions.by_name[definition.name].condition is not None:
            inside = partitions.members(definition.name, now).rows(view)
            rows = order[inside]
            partition_of[rows] = np.where(partition_of[rows] == NOWHERE, number, partition_of[rows])
    return partition_of


def _imagined(snapshot: Snapshot, planned: Imagined, order: Amounts) -> Snapshot:
    """Return a snapshot that holds just one complete block of each planned replica."""
    count = len(order)
    dataset, site, group = planned.dataset[order], planned.site[order], planned.group[order]
    block = np.searchsorted(snapshot.blocks.dataset, dataset).astype(np.int32)
    block = np.minimum(block, max(len(snapshot.blocks.ids) - 1, 0))
    known = len(snapshot.blocks.ids) > 0
    size = snapshot.blocks.size[block] if known else np.zeros(count, np.int64)
    n_files = snapshot.blocks.n_files[block] if known else np.zeros(count, np.int32)
    return replace(
        snapshot,
        replicas=replace(
            snapshot.replicas,
            dataset=dataset,
            site=site,
            growing=np.zeros(count, np.bool_),
            group=group,
            first=np.arange(count + 1, dtype=np.int64),
        ),
        block_replicas=replace(
            snapshot.block_replicas,
            ids=np.arange(count, dtype=np.int64),
            replica=np.arange(count, dtype=np.int32),
            block=block,
            group=group,
            size=size,
            n_files=n_files,
            updated=np.zeros(count, np.int64),
            complete=np.ones(count, np.bool_),
            custodial=np.zeros(count, np.bool_),
            in_use=None,
        ),
    )
