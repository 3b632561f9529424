"""Awaiting: what copy requests wait for although others have asked for it."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import and_, or_

from dynamo.db.engine.unit_of_work import Work
from dynamo.db.tables import Block, BlockReplica, Transfer
from dynamo.services.copies.conditions import at_its_sites
from dynamo.services.copies.request import CopyRequest
from dynamo.services.requests.problems import Problem, troubled

_AT_ONCE = 50
"""Requests that one statement asks for."""


class _Trouble(NamedTuple):
    request_id: int
    lfn: str
    site: str
    reason: str
    error: str | None
    attempts: int
    not_before: datetime | None
    dataset_id: int
    uuid: str
    site_id: int


_OTHERS = (
    troubled(Transfer, Transfer.request_id)
    .add_columns(Block.dataset_id, Block.uuid, BlockReplica.site_id)
    .join(BlockReplica, BlockReplica.id == Transfer.replica_id)
    .join(Block, Block.id == BlockReplica.block_id)
    .where(BlockReplica.complete.is_(False))
)


def troubles(work: Work, copy_requests: Sequence[CopyRequest]) -> Iterator[tuple[int, Problem]]:
    """Yield, by request, the transfers of others that fill what it wants and did not go well."""
    for start in range(0, len(copy_requests), _AT_ONCE):
        some = copy_requests[start : start + _AT_ONCE]
        for row in _of_any(work, some):
            problem = Problem._make(row[1:7])
            yield from ((request.id, problem) for request in some if _awaits(request, row))


def _of_any(work: Work, copy_requests: Sequence[CopyRequest]) -> list[_Trouble]:
    # datasets are named once more, as an index is found by them
    datasets = {request.dataset.id for request in copy_requests}
    wanted = or_(*(and_(*at_its_sites(request)) for request in copy_requests))
    return work.read(_Trouble, _OTHERS.where(Block.dataset_id.in_(datasets), wanted))


def _awaits(request: CopyRequest, row: _Trouble) -> bool:
    """Tell whether a transfer that another request sent for fills what this one wants."""
    return (
        row.request_id != request.id
        and row.dataset_id == request.dataset.id
        and row.site_id in {site.id for site in request.sites}
        and (request.blocks is None or row.uuid in request.blocks)
    )
