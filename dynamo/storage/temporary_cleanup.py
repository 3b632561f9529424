"""Removing temporary files that nobody has touched for long."""

from collections.abc import Callable, Collection
from datetime import datetime

from dynamo.storage.protocol import Storage
from dynamo.storage.temporary_names import is_temporary

Needed = Callable[[Collection[str]], Collection[str]]
"""Says which of these temporary names somebody still needs."""


def clean(storage: Storage, area: str, before: datetime, needed: Needed) -> int:
    """Discard an area's files that were last changed before a moment and nobody needs; count them.

    Asked after all was listed, so that what was announced before its file was there is known. What
    is no temporary name is not ours, and is left alone.
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
