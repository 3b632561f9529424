"""Locks that were set while a cycle ran: they hold as well as those that it has seen."""

from collections.abc import Collection

import numpy as np
from sqlalchemy import select

from dynamo.db import locks, snapshot
from dynamo.db.tables import Dataset
from dynamo.db.work import Work
from dynamo.inventory.snapshot import Lock
from dynamo.policy.image import Image
from dynamo.policy.locking import locked


def locked_since(work: Work, dataset_ids: Collection[int], seen: Collection[Lock]) -> set[int]:
    """Return the block replicas of some datasets that locks name which were not seen before."""
    names = work.scalars(select(Dataset.name).where(Dataset.id.in_(dataset_ids)))
    new = [lock for lock in locks.holding(work, locks.naming(names)) if lock not in seen]
    if not new:
        return set()
    here = snapshot.narrow(work, dataset_ids)
    rows = np.flatnonzero(locked(Image.whole(here), new))
    return set(here.block_replicas.ids[rows].tolist())
