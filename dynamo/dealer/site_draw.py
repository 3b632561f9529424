"""Draws a site for something of a size: the emptier, the likelier."""

import numpy as np

from dynamo.dealer.inventory_view import InventoryView
from dynamo.inventory.snapshot import Flags


def draw_site(view: InventoryView, size: int, among: Flags, rng: np.random.Generator) -> int:
    """Return one of the sites, or -1 where none could ever take it.

    Sites that have room now come first; otherwise one is taken where the quota would do, so that
    the copy waits for its turn instead of being refused.
    """
    filling = view.filling
    after = filling.projected + float(size)
    share = np.where(
        np.isfinite(filling.quota) & (filling.quota > 0),
        after / np.where(filling.quota > 0, filling.quota, 1.0),
        np.where(filling.quota > 0, 0.0, 2.0),
    )
    possible = among & (share <= 1.0)
    now = possible & (view.room >= size)
    sites = np.flatnonzero(now if now.any() else possible)
    if not len(sites):
        return -1
    weight = np.cumsum(1.0 - share[sites])
    if weight[-1] <= 0:
        return int(rng.choice(sites))
    place = np.searchsorted(weight, rng.random() * weight[-1], side="right")
    return int(sites[min(int(place), len(sites) - 1)])
