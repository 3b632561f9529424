"""How full a partition is at each site, and how much more it may take, in whole bytes."""

from dataclasses import dataclass

import numpy as np

from dynamo.dealer.question import Limits
from dynamo.inventory.snapshot import Amounts, Numbers

BOUNDLESS = 2**62
"""More bytes than there are."""


@dataclass(frozen=True, slots=True, eq=False)
class PartitionOccupancy:
    """Bytes of a partition at each site."""

    quota: Numbers
    """What may be filled; infinite = unlimited, NaN = the site takes no part."""
    physical: Amounts
    """What is there."""
    projected: Amounts
    """What is there when all has arrived."""

    def space(self, limits: Limits) -> Amounts:
        """Return how many bytes more the target occupancy allows; negative where it is passed."""
        return most_bytes(self.quota, min(limits.occupancy, 1.0)) - self.projected

    def slack(self, limits: Limits) -> Amounts:
        """Return how many bytes more may be on their way; negative where there are too many."""
        return self.burst(limits) - (self.projected - self.physical)

    def burst(self, limits: Limits) -> Amounts:
        """Return how many bytes may be on their way to a site in all."""
        if limits.pending >= 1:
            return np.full(len(self.quota), BOUNDLESS, np.int64)
        least = np.where(np.nan_to_num(self.quota) > 0, min(limits.burst, BOUNDLESS), 0)
        return np.maximum(most_bytes(self.quota, limits.pending), least.astype(np.int64))


def most_bytes(quota: Numbers, share: float) -> Amounts:
    """Return the largest number of bytes that is no more than a share of each quota.

    The division is what the limits are written as, so it has the last word, not the product.
    """
    bounded = np.isfinite(quota) & (quota > 0) & np.isfinite(share)
    finite = np.where(bounded, quota, 1.0)
    most = np.floor(finite * (share if np.isfinite(share) else 1.0))
    most += (most + 1) / finite <= share
    most -= most / finite > share
    nothing = np.isnan(quota) | (quota <= 0)
    return np.where(nothing, 0, np.where(bounded, most, BOUNDLESS)).astype(np.int64)
