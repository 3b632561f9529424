"""Problems: transfers and deletions that did not go well so far, as requests list them."""

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import NotNullable, Select, SQLColumnExpression, select

from dynamo.db.engine.typed_rows import Values
from dynamo.db.engine.unit_of_work import Work
from dynamo.db.tables import Deletion, File, Site, Transfer
from dynamo.operations.lifecycle import OPEN, State

MOST = 100
"""Problems that a request object lists at most."""


class Problem(NamedTuple):
    """A transfer or a deletion that did not go well so far."""

    lfn: str
    site: str
    reason: str
    error: str | None
    attempts: int
    not_before: datetime | None


Troubled = Select[int, str, str, str, str | None, int, datetime | None]
"""A key, and what `Problem` holds."""


def troubled(table: type[Transfer] | type[Deletion], key: SQLColumnExpression[int]) -> Troubled:
    """Select what did not go well, the oldest first, with a key; whose is said by others."""
    return (
        select(
            key,
            File.lfn,
            Site.name.label("site"),
            NotNullable(table.reason),
            table.error,
            table.attempts,
            table.not_before,
        )
        .select_from(table)
        .join(File, File.id == table.file_id)
        .join(Site, Site.id == table.site_id)
        .where(table.reason.is_not(None), table.state.in_((*OPEN, State.FAILED)))
        .order_by(table.id)
        .limit(MOST)
    )


def found(work: Work, statement: Troubled, values: Values = None) -> Iterator[tuple[int, Problem]]:
    """Yield the problems that a statement finds, each with its key."""
    for key, *problem in work.rows(statement, values):
        yield key, Problem._make(problem)
