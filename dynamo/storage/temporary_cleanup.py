"""Deletes temporary files that have not been touched for long."""

from collections.abc import Callable, Collection
from datetime import datetime

from dynamo.storage.protocol import Storage
from dynamo.storage.temporary_names import is_temporary

Needed = Callable[[Collection[str]], Collection[str]]
"""Returns the given temporary names that are still in use."""


def clean(storage: Storage, area: str, before: datetime, needed: Needed) -> int:
    """Discard an area's temporary files that are old and not in use; return their number.

    `needed` is asked after the listing, so that names announced before their files existed are
    known. Files with other names are left alone.
    """
    old = [
        entry.lfn
        for folder in storage.listing(area)
        for entry in folder.entries
        if entry.size is not None and entry.modified < before and is_temporary(entry.lfn, area)
    ]
    kept = set(needed(old)) if old else set()
    for name in old:
        if name not in kept:
            storage.discard(name)
    return len(set(old) - kept)
