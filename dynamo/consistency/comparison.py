"""Comparing a listing with the catalogue as it was before and after it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dynamo.consistency.listing import Listed
from dynamo.consistency.name_hashes import Keys, Numbers, among, places


@dataclass(frozen=True, slots=True, eq=False)
class Catalogue:
    """What is known of a site at one moment, as columns; a name may stand there more than once."""

    keys: Keys
    ids: Numbers
    sizes: Numbers
    """In bytes; -1 where it is not known yet."""
    sure: NDArray[np.bool_]
    """The file is there for certain: arrived, not leaving, not on its way again."""

    def __len__(self) -> int:
        return len(self.keys)


@dataclass(frozen=True, slots=True, eq=False)
class Difference:
    """What differs; whether the listing proves it is not asked yet."""

    dark: Numbers
    """Places in the listing."""
    missing: Numbers
    """Places in the catalogue as it was before."""
    wrong: Numbers
    """Places in the catalogue of files whose size is another one."""
    found: Numbers
    """The places of those in the listing."""


def compare(listed: Listed, before: Catalogue, after: Catalogue) -> Difference:
    """Compare a listing with what was known before it and after it.

    Dark is what was unknown both times: what is registered, booked or leaving at any moment of the
    listing is known to one of them. Missing is what was there for certain both times.
    """
    known = np.concatenate([before.keys, after.keys])
    files = np.flatnonzero(listed.sizes >= 0)
    dark = files[~among(listed.keys[files], known)]
    sure = np.flatnonzero(before.sure)
    sure = sure[among(before.keys[sure], after.keys[after.sure])]
    at = places(before.keys[sure], listed.keys)
    wrong, found = _of_other_size(listed, before, sure[at >= 0], at[at >= 0])
    return Difference(dark, sure[at < 0], wrong, found)


def _of_other_size(
    listed: Listed, before: Catalogue, present: Numbers, at: Numbers
) -> tuple[Numbers, Numbers]:
    sizes, known = listed.sizes[at], before.sizes[present]
    differs = (sizes >= 0) & (known >= 0) & (sizes != known)
    return present[differs], at[differs]
