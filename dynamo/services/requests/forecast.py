"""Forecasts: when what is on its way will be there, by what the links have carried lately."""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import aliased

from dynamo.db.engine.expressions import Condition, total
from dynamo.db.engine.unit_of_work import Work
from dynamo.db.requests import RequestRow
from dynamo.db.tables import BlockReplica, File, Stream, Transfer
from dynamo.db.transfers import links
from dynamo.db.transfers.links import Pair
from dynamo.inventory.request_bodies import RequestBody
from dynamo.inventory.states import ENDED
from dynamo.operations.lifecycle import State
from dynamo.services.copies.conditions import filling
from dynamo.services.copies.request import CopyRequest

_LONGEST = timedelta(days=3650)


def expected_end(
    work: Work, request: RequestRow[RequestBody], wanted: CopyRequest | None
) -> datetime | None:
    """Return when a copy request will be done; None = done, or nobody knows.

    What is not on its way yet will go as what is, and others may have sent for it. What the Dealer
    copies by itself is nobody's wanted.
    """
    if request.state in ENDED:
        return None
    mine = Transfer.request_id == request.id if wanted is None else filling(wanted)
    waits = _waits(work, mine)
    lasts = lasting(work, waits)
    if lasts is None:
        return None
    under_way = sum(waits.values())
    left = max(request.bytes - request.bytes_done, under_way)
    share = left / max(under_way, 1)
    return work.now + min(lasts * share, _LONGEST)


def lasting(work: Work, waits: Mapping[Pair, int]) -> timedelta | None:
    """Return how long bytes that wait on links take to arrive; None = nobody knows.

    Each link carries its part at its own speed, with as many streams as work on it now; the
    slowest is last.
    """
    sources, sites = {source for source, _ in waits}, {site for _, site in waits}
    speeds = links.rates(work, sources, sites)
    if not speeds:
        return None
    usual = sum(speeds.values()) / len(speeds)
    streams = _streams(work, sources, sites)
    seconds = [
        size / (speeds.get(pair, usual) * streams.get(pair, 1)) for pair, size in waits.items()
    ]
    return timedelta(seconds=min(max(seconds), _LONGEST.total_seconds()))


def _streams(work: Work, source_ids: Collection[int], site_ids: Collection[int]) -> dict[Pair, int]:
    """Count who works on links now, where anybody does."""
    here = (Stream.source_id.in_(source_ids), Stream.site_id.in_(site_ids))
    rows = work.rows(
        select(Stream.source_id, Stream.site_id, func.count())
        .where(*here, Stream.until > work.now)
        .group_by(Stream.source_id, Stream.site_id)
    )
    return {(source, site): n for source, site, n in rows}


def _waits(work: Work, which: Condition) -> dict[Pair, int]:
    """Return the bytes of some transfers that are on their way, by link."""
    source = aliased(BlockReplica)
    rows = work.rows(
        select(source.site_id, Transfer.site_id, total(File.size))
        .join(File, File.id == Transfer.file_id)
        .join(source, source.id == Transfer.source_id)
        .where(
            which,
            Transfer.state.in_((State.QUEUED, State.ACTIVE)),
        )
        .group_by(source.site_id, Transfer.site_id)
    )
    return {(start, end): size for start, end, size in rows}
