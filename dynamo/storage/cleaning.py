"""Removing temporary files that nobody has touched for long."""

from datetime import datetime

from dynamo.storage.protocol import Storage


def clean(storage: Storage, area: str, before: datetime) -> int:
    """Discard an area's files that were last changed before a moment; count them."""
    count = 0
    for folder in storage.listing(area):
        for entry in folder.entries:
            if entry.size is not None and entry.modified < before:
                storage.discard(entry.lfn)
                count += 1
    return count
