"""The order in which proposals of several proposers have their turns."""

from collections.abc import Sequence

import numpy as np

from dynamo.inventory.snapshot import Codes
from dynamo.policy.image import Places


def drawn(counts: Sequence[int], priorities: Sequence[float], rng: np.random.Generator) -> Codes:
    """Return whose turn it is, until each has had as many turns as it has proposals.

    Each turn is drawn among those with proposals left, with probability inverse to the priority
    number. If one priority is 0, all are, and all are equal.
    """
    left = np.array(counts, np.int64)
    weight = np.array([1.0 / priority if priority else 1.0 for priority in priorities])
    turns: list[Codes] = []
    while left.any():
        live = np.flatnonzero(left)
        share = np.cumsum(weight[live])
        picks = np.searchsorted(share, rng.random(int(left.sum())) * share[-1], side="right")
        picks = _until_one_is_done(np.minimum(picks, len(live) - 1), left[live])
        left[live] -= np.bincount(picks, minlength=len(live))
        turns.append(live[picks].astype(np.int32))
    return np.concatenate(turns) if turns else np.zeros(0, np.int32)


def _until_one_is_done(picks: Places, left: Places) -> Places:
    """Cut a series of picks behind the one that uses somebody's proposals up."""
    ends = []
    for place, count in enumerate(left.tolist()):
        own = np.flatnonzero(picks == place)
        if len(own) >= count:
            ends.append(int(own[count - 1]))
    return picks[: min(ends) + 1] if ends else picks
