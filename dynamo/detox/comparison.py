"""Two policies side by side on the same snapshot: what only one of them would delete."""

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
    """Places among the snapshot's blocks."""
    size: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """What only the first of two plans would delete, what only the second, and what both."""

    only_first: tuple[Difference, ...]
    only_second: tuple[Difference, ...]
    both: int
    """Bytes."""


def compared(first: Plan, second: Plan) -> Comparison:
    """Compare two plans made of the same snapshot. Raises ValueError if they are not."""
    if first.snapshot is not second.snapshot:
        raise ValueError("the plans are about different snapshots")
    one, other = _going(first), _going(second)
    common = np.intersect1d(one, other)
    size = first.snapshot.block_replicas.size
    return Comparison(
        tuple(_differences(first.snapshot, np.setdiff1d(one, other))),
        tuple(_differences(first.snapshot, np.setdiff1d(other, one))),
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
        places, one = rows[run], int(replica[run[0]])
        yield Difference(
            snapshot.sites.labels[int(snapshot.replicas.site[one])],
            snapshot.datasets.labels[int(snapshot.replicas.dataset[one])],
            snapshot.block_replicas.block[places].astype(np.intp),
            int(snapshot.block_replicas.size[places].sum()),
        )
