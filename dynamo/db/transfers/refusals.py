"""Refusals: blocks of which a site that is to have them has not taken files for a while."""

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import and_, or_, select

from dynamo.db.engine.unit_of_work import Work
from dynamo.db.sites import breakers
from dynamo.db.tables import Block, BlockReplica, Transfer
from dynamo.inventory.states import ReplicaState
from dynamo.operations.breakers import Operation
from dynamo.operations.lifecycle import State
from dynamo.reasons import REFUSED_BY_STORAGE, Reason


class RefusedBlock(NamedTuple):
    """A block of a dataset, and a site that has refused files of it."""

    dataset_id: int
    uuid: str
    site_id: int


def standing(work: Work, dataset_ids: Collection[int], latest: datetime) -> list[RefusedBlock]:
    """Return blocks of datasets and sites that have refused files of them since before a moment.

    What was given up was held for long before.
    """
    if not dataset_ids:
        return []
    resting = breakers.resting(work, None, Operation.WRITE)
    failing = [one.site_id for one in resting if one.since is not None and one.since <= latest]
    refused = Transfer.reason.in_(REFUSED_BY_STORAGE)
    given_up = and_(Transfer.state == State.FAILED, refused)
    held = and_(Transfer.state == State.HELD, refused, Transfer.updated <= latest)
    waits = and_(
        Transfer.state == State.QUEUED,
        Transfer.reason == Reason.SITE_FAILING,
        Transfer.site_id.in_(failing),
    )
    return work.read(
        RefusedBlock,
        select(Block.dataset_id, Block.uuid, BlockReplica.site_id)
        .join(BlockReplica, BlockReplica.block_id == Block.id)
        .join(Transfer, Transfer.replica_id == BlockReplica.id)
        .where(
            Block.dataset_id.in_(dataset_ids),
            BlockReplica.complete.is_(False),
            BlockReplica.state == ReplicaState.VALID,
            or_(held, given_up, waits),
        )
        .distinct(),
    )
