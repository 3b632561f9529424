"""Shares the blocks of a dataset out over many sites, by free space and weight."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from dynamo.dealer.inventory_view import InventoryView
from dynamo.dealer.occupancy import BOUNDLESS
from dynamo.inventory.snapshot import Amounts, Flags, Numbers


def shares(view: InventoryView, sites: Flags) -> Numbers:
    """Return each site's part of what is shared out: free space times weight; 0 for others.

    An unlimited site counts as the emptiest of the others.
    """
    space = np.maximum(view.filling.space(view.asked.limits), 0)
    unlimited = space > BOUNDLESS // 2
    finite = space[sites & ~unlimited]
    free = np.where(unlimited, finite.max(initial=1), space).astype(np.float64)
    weights = view.asked.weights
    parts = np.where(sites, free if weights is None else free * weights, 0.0)
    return parts / parts.sum() if parts.sum() > 0 else parts


def share_out(
    parts: Numbers,
    sizes: Mapping[int, int],
    there: Mapping[int, Sequence[int]],
    copies: int,
    room: Amounts,
) -> dict[int, list[int]]:
    """Return new blocks per site: each block at `copies` sites, each site near its part.

    `sizes` are the blocks, `there` the sites that have each already; they count towards both. The
    largest blocks go first, each to the site that is furthest below its part.
    """
    below = np.array(parts) * float(sum(sizes.values()) * copies)
    for block, sites in there.items():
        for site in sites:
            below[site] -= sizes[block]
    left = np.where(parts > 0, room, -1).astype(np.int64)
    given: dict[int, list[int]] = {}
    for block in sorted(sizes, key=lambda one: (-sizes[one], one)):
        taken = set(there.get(block, ()))
        for _ in range(copies - len(taken)):
            site = _furthest_below(below, left, sizes[block], taken)
            if site < 0:
                break
            taken.add(site)
            below[site] -= sizes[block]
            left[site] -= sizes[block]
            given.setdefault(site, []).append(block)
    return given


def lacking(
    sizes: Mapping[int, int],
    there: Mapping[int, Sequence[int]],
    given: Mapping[int, Sequence[int]],
    copies: int,
) -> dict[int, int]:
    """Return the blocks that still have too few copies, and how many they lack."""
    new = Counter(block for blocks in given.values() for block in blocks)
    found = {block: copies - len(there.get(block, ())) - new[block] for block in sizes}
    return {block: n for block, n in found.items() if n > 0}


def _furthest_below(below: Numbers, left: Amounts, size: int, taken: set[int]) -> int:
    able = left >= size
    able[list(taken)] = False
    return int(np.argmax(np.where(able, below, -np.inf))) if able.any() else -1
