"""Forecasts: when a request will be done, by what the links have carried lately."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select

from dynamo.db import links
from dynamo.db.tables import BlockReplica, File, Transfer
from dynamo.db.work import Work
from dynamo.inventory.states import ENDED
from dynamo.operations.life import State

_LONGEST = timedelta(days=3650)


def expected_end(work: Work, request: Any) -> datetime | None:
    """Return when a copy request will be done; None = done, or nobody knows.

    Each link carries its part at its own speed, the slowest is last; what is not on its way yet
    will go as what is.
    """
    if request.state in ENDED:
        return None
    waits = _waits(work, request.id)
    speeds = links.rates(work, {source for source, _, _ in waits}, {site for _, site, _ in waits})
    if not speeds:
        return None
    usual = sum(speeds.values()) / len(speeds)
    lasting = [size / speeds.get((source, site), usual) for source, site, size in waits]
    under_way = sum(size for _, _, size in waits)
    left = max(request.bytes - request.bytes_done, under_way)
    seconds = max(lasting) * left / under_way if under_way else 0.0
    return work.now + min(timedelta(seconds=seconds), _LONGEST)


def _waits(work: Work, request_id: int) -> list[tuple[int, int, int]]:
    """Return what is on its way: source site, destination site, bytes."""
    source = BlockReplica.__table__.alias("source")
    rows = work.rows(
        select(source.c.site_id, Transfer.site_id, func.sum(File.size))
        .join(File, File.id == Transfer.file_id)
        .join(source, source.c.id == Transfer.source_id)
        .where(
            Transfer.request_id == request_id,
            Transfer.state.in_((State.QUEUED, State.ACTIVE)),
        )
        .group_by(source.c.site_id, Transfer.site_id)
    )
    return [(int(row[0]), int(row[1]), int(row[2] or 0)) for row in rows]
