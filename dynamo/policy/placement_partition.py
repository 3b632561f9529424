"""To which partition replicas belong that do not exist yet."""

from dataclasses import dataclass, replace

import numpy as np

from dynamo.inventory.snapshot import Amounts, Codes, Snapshot
from dynamo.policy.image import Image, View
from dynamo.policy.partitions import Partitions

NOWHERE = -1


@dataclass(frozen=True, slots=True, eq=False)
class Imagined:
    """Columns of replicas as they would be: places in a snapshot."""

    dataset: Codes
    site: Codes
    group: Codes


def destinations(snapshot: Snapshot, partitions: Partitions, some: Imagined, now: float) -> Codes:
    """Return the first partition with a condition that holds each of them, else `NOWHERE`.

    Partitions are counted as the snapshot defines them.
    """
    found = np.full(len(some.dataset), NOWHERE, np.int32)
    if not len(found):
        return found
    order = np.lexsort((some.site, some.dataset))
    view = View.of(Image.whole(_imagined(snapshot, some, order)))
    for place, definition in enumerate(snapshot.partitions):
        if partitions.by_name[definition.name].condition is not None:
            inside = partitions.members(definition.name, now).rows(view)
            rows = order[inside]
            found[rows] = np.where(found[rows] == NOWHERE, place, found[rows])
    return found


def _imagined(snapshot: Snapshot, some: Imagined, order: Amounts) -> Snapshot:
    """Return a snapshot in which there is nothing but one complete block of each of them."""
    count = len(order)
    dataset, site, group = some.dataset[order], some.site[order], some.group[order]
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
