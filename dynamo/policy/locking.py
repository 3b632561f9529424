"""Which block replicas the locks name."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from dynamo.inventory.labels import Labels
from dynamo.inventory.snapshot import Flags, Lock
from dynamo.policy.image import Image, spread
from dynamo.policy.patterns import Pattern


def locked(image: Image, locks: Iterable[Lock]) -> Flags:
    """Tell which rows of an image are locked."""
    found = np.zeros(len(image.replica), np.bool_)
    known = np.flatnonzero(image.sites)
    for lock in locks:
        rows = _rows(image, lock)
        if len(rows):
            rows = rows[
                _chosen(lock.sites, image.snapshot.sites.labels, known)[
                    image.site[image.replica[rows]]
                ]
            ]
            groups = np.arange(1, len(image.snapshot.groups.labels))
            found[
                rows[_chosen(lock.groups, image.snapshot.groups.labels, groups)[image.group[rows]]]
            ] = True
    return found


def _rows(image: Image, lock: Lock) -> NDArray[np.int64]:
    """Return the rows of the locked datasets, or of the locked block in them."""
    datasets = Pattern.plain(lock.dataset).places(image.snapshot.datasets.labels)
    replicas, _ = image.replicas_of(datasets)
    rows, _ = spread(image.first[replicas], image.first[replicas + 1])
    if lock.block_id is not None:
        same = image.snapshot.blocks.ids[image.block[rows]] == lock.block_id
        return np.asarray(rows[same])
    if lock.block is None:
        return rows
    names = image.snapshot.blocks.names
    if names is None:
        raise ValueError("a lock names a block, but the snapshot holds keys of blocks only")
    same = np.array([names[block] == lock.block for block in image.block[rows].tolist()], np.bool_)
    return np.asarray(rows[same])


def _chosen(pattern: str | None, labels: Labels, among: NDArray[np.integer]) -> Flags:
    """Tell which sites or groups a lock means: all, if it names none or none that is known.

    A typing error thus locks too much rather than nothing.
    """
    chosen = np.zeros(len(labels), np.bool_)
    if pattern and pattern != "*":
        fits = Pattern.plain(pattern)
        chosen[[place for place in among.tolist() if fits.matches(labels[place])]] = True
    return chosen if chosen.any() else np.ones(len(labels), np.bool_)
