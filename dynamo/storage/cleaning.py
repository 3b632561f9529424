"""Removing temporary files that nobody has touched for long."""

from collections.abc import Callable
from datetime import datetime

from dynamo.storage.protocol import Storage
from dynamo.storage.temporaries import is_temporary


def clean(storage: Storage, area: str, before: datetime, needed: Callable[[str], bool]) -> int:
    """Discard an area's files that were last changed before a moment and nobody needs; count them.

    What is no temporary name is not ours, and is left alone.
    """
    count = 0
    for folder in storage.listing(area):
        for entry in folder.entries:
            old = entry.size is not None and entry.modified < before
            if old and is_temporary(entry.lfn, area) and not needed(entry.lfn):
                storage.discard(entry.lfn)
                count += 1
    return count
