"""Charges new files to their owner, and limits blocks."""

from dynamo.db.catalogue import accounting
from dynamo.db.catalogue.block_filling import BlockLimit
from dynamo.db.engine.unit_of_work import Work
from dynamo.errors import Full
from dynamo.reasons import Reason
from dynamo.services import users
from dynamo.settings import Settings


def limit(settings: Settings) -> BlockLimit:
    """Return the limits of a block of user data."""
    return BlockLimit(settings.block.max_files, settings.block.max_bytes)


def charge(work: Work, owner_id: int | None, n_files: int, size: int) -> None:
    """Charge unique bytes to an owner. Raises Full, with the figures."""
    if not accounting.charge(work, owner_id, n_files, size):
        standing = users.standing(work, owner_id) if owner_id is not None else None
        raise Full(
            "the user quota would be exceeded: "
            f"used {standing.used}, needed {size}, limit {standing.max_bytes} bytes"
            if standing
            else "the user quota would be exceeded",
            Reason.QUOTA_EXCEEDED,
        )
