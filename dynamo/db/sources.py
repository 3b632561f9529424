"""Sources: from which replica a block, or one file of it, is best read now."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import case, select, update

from dynamo.db.placing import pin
from dynamo.db.switches import stopped_sites
from dynamo.db.tables import BlockReplica, Incident, Site, Transfer
from dynamo.db.work import Work
from dynamo.inventory.states import ReplicaState, SiteKind, SiteStatus


def best(work: Work, block_ids: Collection[int], not_at: Collection[int] = ()) -> dict[int, int]:
    """Return, for each block, the complete replica to read from.

    At a ready site if there is one, least used first.

    Sites that are only readable serve when there is no ready one: evacuation must work by itself.
    """
    rows = work.rows(
        _candidates(work).where(
            BlockReplica.block_id.in_(block_ids), BlockReplica.site_id.not_in(not_at)
        )
    )
    chosen: dict[int, int] = {}
    for row in rows:
        chosen.setdefault(row.block_id, row.id)
    return chosen


def change(work: Work, transfer_id: int, block_id: int, lfn: str, site_id: int) -> bool:
    """Read one file from another replica, one that nothing bad is known of.

    False = there is none.
    """
    bad = select(Incident.site).where(Incident.lfn == lfn)
    others = _candidates(work).where(
        BlockReplica.block_id == block_id, BlockReplica.site_id != site_id, Site.name.not_in(bad)
    )
    row = work.row(others.limit(1))
    before = work.scalar(select(Transfer.source_id).where(Transfer.id == transfer_id))
    after = None if row is None else int(row.id)
    if before == after:
        return after is not None
    pin(work, {key: step for key, step in ((before, -1), (after, 1)) if key is not None})
    work.changed(update(Transfer).where(Transfer.id == transfer_id).values(source_id=after))
    return after is not None


def _candidates(work: Work) -> Any:
    ready_first = case((Site.status == SiteStatus.READY, 0), else_=1)
    return (
        select(BlockReplica.id, BlockReplica.block_id)
        .join(Site, Site.id == BlockReplica.site_id)
        .where(
            BlockReplica.state == ReplicaState.VALID,
            BlockReplica.complete.is_(True),
            Site.kind == SiteKind.DISK,
            Site.status != SiteStatus.UNKNOWN,
            Site.name.not_in(stopped_sites(work)),
        )
        .order_by(BlockReplica.block_id, ready_first, BlockReplica.in_use, BlockReplica.id)
    )
