"""Handing over: block replicas get another owner; no byte moves, accounts may change."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select, update

from dynamo.db import accounts, placing
from dynamo.db.history_log import Event, record
from dynamo.db.tables import Block, BlockReplica, Group
from dynamo.db.work import Work
from dynamo.inventory.states import ReplicaState

WHO = "dynamo"


def hand_over(
    work: Work,
    group_id: int | None,
    partition_id: int | None,
    replica_ids: Sequence[int],
    cause: str,
) -> int:
    """Give valid replicas to a group; what they fill counts against a partition (None = as before).

    Return how many there were. The history keeps to whom, and the cause.
    """
    valid = (BlockReplica.id.in_(replica_ids), BlockReplica.state == ReplicaState.VALID)
    wanted = select(BlockReplica.id, BlockReplica.block_id).where(*valid)
    placing.lock_blocks(work, {row.block_id for row in work.rows(wanted)})
    group = work.scalar(select(Group.name).where(Group.id == group_id)) or "nobody"
    record(
        work,
        [
            Event(
                "handed-over",
                WHO,
                dataset=row.dataset,
                block=row.uuid,
                site=row.site,
                n_files=row.n_files,
                bytes=row.bytes,
                why=f"{cause}, to {group}",
            )
            for row in work.rows(placing.described().where(*valid))
        ],
    )
    values: dict[str, Any] = {"group_id": group_id, "updated": BlockReplica.updated}
    if partition_id is not None:
        _account(work, valid, partition_id)
        values["partition_id"] = partition_id
    return work.changed(update(BlockReplica).where(*valid).values(values))


def _account(work: Work, which: Sequence[Any], partition_id: int) -> None:
    """Move what the replicas have booked and fill to another partition of their sites."""
    there = (BlockReplica.site_id, BlockReplica.partition_id, BlockReplica.bytes)
    rows = work.rows(
        select(*there, Block.bytes.label("whole"))
        .join(Block, Block.id == BlockReplica.block_id)
        .where(*which, BlockReplica.partition_id != partition_id)
    )
    out = [(row.site_id, row.partition_id, -row.whole, -row.bytes) for row in rows]
    into = [(row.site_id, partition_id, row.whole, row.bytes) for row in rows]
    accounts.shift(work, accounts.summed([*out, *into]))
