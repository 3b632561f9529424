"""Compares a listing with the catalogue before and after it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dynamo.consistency.listing import Listed
from dynamo.consistency.name_hashes import Keys, Numbers, among, places


@dataclass(frozen=True, slots=True, eq=False)
class Catalogue:
    """The catalogue of a site at one moment, as columns; a name may occur more than once."""

    keys: Keys
    ids: Numbers
    sizes: Numbers
    """Bytes; -1 = not known yet."""
    sure: NDArray[np.bool_]
    """Flags of files that are certainly there: arrived, not leaving, not being copied again."""

    def __len__(self) -> int:
        return len(self.keys)


@dataclass(frozen=True, slots=True, eq=False)
class Difference:
    """Differences; whether the listing proves them is decided later."""

    dark: Numbers
    """Positions in the listing."""
    missing: Numbers
    """Positions in the catalogue before the listing."""
    wrong: Numbers
    """Positions in the catalogue of files with a different size."""
    found: Numbers
    """The positions of the `wrong` files in the listing."""


def compare(listed: Listed, before: Catalogue, after: Catalogue) -> Difference:
    """Compare a listing with the catalogue before it and after it.

    A dark file is unknown both times: a file that is registered, booked or being deleted at any
    moment of the listing is in one of the two. A missing file was certainly there both times.
    """
    known = np.concatenate([before.keys, after.keys])
    files = np.flatnonzero(listed.sizes >= 0)
    dark = files[~among(listed.keys[files], known)]
    sure = np.flatnonzero(before.sure)
    sure = sure[among(before.keys[sure], after.keys[after.sure])]
    positions = places(before.keys[sure], listed.keys)
    wrong, listed_at = _of_other_size(
        listed, before, sure[positions >= 0], positions[positions >= 0]
    )
    return Difference(dark, sure[positions < 0], wrong, listed_at)


def _of_other_size(
    listed: Listed, before: Catalogue, present: Numbers, positions: Numbers
) -> tuple[Numbers, Numbers]:
    sizes, known = listed.sizes[positions], before.sizes[present]
    differs = (sizes >= 0) & (known >= 0) & (sizes != known)
    return present[differs], positions[differs]
