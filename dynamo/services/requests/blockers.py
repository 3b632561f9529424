"""Awaiting: what copy requests wait for although others have asked for it."""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import and_, or_

from dynamo.db.engine.unit_of_work import Work
from dynamo.db.tables import Block, BlockReplica, Transfer
from dynamo.services.copies.conditions import at_its_sites
from dynamo.services.copies.request import CopyRequest
from dynamo.services.requests.problems import troubled

_AT_ONCE = 50
"""Wishes that one statement asks for."""
_OTHERS = (
    troubled(Transfer, Transfer.request_id, Block.dataset_id, Block.uuid, BlockReplica.site_id)
    .join(BlockReplica, BlockReplica.id == Transfer.replica_id)
    .join(Block, Block.id == BlockReplica.block_id)
    .where(BlockReplica.complete.is_(False))
)


def troubles(work: Work, wishes: Sequence[CopyRequest]) -> Iterator[tuple[int, Any]]:
    """Yield, by request, the transfers of others that fill what it wants and did not go well."""
    for start in range(0, len(wishes), _AT_ONCE):
        some = wishes[start : start + _AT_ONCE]
        for row in _of_any(work, some):
            yield from ((wish.request_id, row) for wish in some if _awaits(wish, row))


def _of_any(work: Work, wishes: Sequence[CopyRequest]) -> Sequence[Any]:
    datasets = {wish.dataset.id for wish in wishes}  # said once more, as an index is found by it
    wanted = or_(*(and_(*at_its_sites(wish)) for wish in wishes))
    return work.rows(_OTHERS.where(Block.dataset_id.in_(datasets), wanted))


def _awaits(wish: CopyRequest, row: Any) -> bool:
    """Tell whether a transfer that another request sent for fills what this one wants."""
    return (
        row.request_id != wish.request_id
        and row.dataset_id == wish.dataset.id
        and row.site_id in {site.id for site in wish.sites}
        and (wish.blocks is None or row.uuid in wish.blocks)
    )
