"""Problems: transfers and deletions that did not go well so far, as requests list them."""

from typing import Any

from sqlalchemy import select

from dynamo.db.tables import Deletion, File, Site, Transfer
from dynamo.operations.lifecycle import OPEN, State

MOST = 100
"""Problems that a request object lists at most."""


def troubled(table: type[Transfer] | type[Deletion], *more: Any) -> Any:
    """Select what did not go well, the oldest first, with more columns; whose is said by others."""
    columns = (File.lfn, Site.name, table.reason, table.error, table.attempts, table.not_before)
    return (
        select(*more, *columns)
        .select_from(table)
        .join(File, File.id == table.file_id)
        .join(Site, Site.id == table.site_id)
        .where(table.reason.is_not(None), table.state.in_((*OPEN, State.FAILED)))
        .order_by(table.id)
        .limit(MOST)
    )
