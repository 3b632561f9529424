"""Compares two policies on the same snapshot: what only one of them would delete."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from dynamo.detox.plan import Plan, runs
from dynamo.inventory.snapshot import Snapshot
from dynamo.policy.image import Places


@dataclass(frozen=True, slots=True)
class Difference:
    """Blocks of a dataset at a site that only one of two plans deletes."""

    site: str
    dataset: str
    blocks: Places
    """Numbers of blocks in the snapshot."""
    size: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """Deletions of the first plan only, of the second only, and of both."""

    only_first: tuple[Difference, ...]
    only_second: tuple[Difference, ...]
    both: int
    """Bytes."""


def compared(first: Plan, second: Plan) -> Comparison:
    """Return the comparison of two plans. Raises ValueError for different snapshots."""
    if first.snapshot is not second.snapshot:
        raise ValueError("the plans are about different snapshots")
    first_rows, second_rows = _going(first), _going(second)
    common = np.intersect1d(first_rows, second_rows)
    size = first.snapshot.block_replicas.size
    return Comparison(
        tuple(_differences(first.snapshot, np.setdiff1d(first_rows, second_rows))),
        tuple(_differences(first.snapshot, np.setdiff1d(second_rows, first_rows))),
        int(size[common].sum()),
    )


def _going(plan: Plan) -> Places:
    """Return the block replicas of the snapshot that a plan deletes."""
    rows = plan.deletions.row[~plan.deletions.held]
    source = plan.rows.source[rows]
    return np.unique(source[source >= 0]).astype(np.intp)


def _differences(snapshot: Snapshot, rows: Places) -> Iterator[Difference]:
    replica = snapshot.block_replicas.replica[rows]
    for run in runs(replica):
        places, dataset_replica = rows[run], int(replica[run[0]])
        yield Difference(
            snapshot.sites.labels[int(snapshot.replicas.site[dataset_replica])],
            snapshot.datasets.labels[int(snapshot.replicas.dataset[dataset_replica])],
            snapshot.block_replicas.block[places].astype(np.intp),
            int(snapshot.block_replicas.size[places].sum()),
        )
