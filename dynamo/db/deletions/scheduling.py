"""Scheduling deletions: one row for each file at each site that it is to leave."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import SQLColumnExpression, case, func, insert, literal, select

from dynamo.db.engine import transitions
from dynamo.db.engine.expressions import Condition
from dynamo.db.engine.unit_of_work import Work
from dynamo.db.tables import (
    BlockReplica,
    Dataset,
    Deletion,
    File,
    ReplicaFile,
    Transfer,
)
from dynamo.db.tables.types import Utc
from dynamo.inventory.states import ReplicaState
from dynamo.operations.lifecycle import State

_NO_GRACE = timedelta(0)


@dataclass(frozen=True, slots=True)
class Order:
    """Who wants data gone, why, and how long they stay readable and rescuable."""

    request_id: int
    cause: str
    who: str
    grace: timedelta = _NO_GRACE
    quiet: datetime | None = None
    """Until then a worker whose transfer was cancelled may still be writing."""
    why: str | None = None
    """What the history says besides the cause: the line of a policy."""
    most: int | None = None
    """Bytes that may be leaving a site at once; None = any number."""
    leaving: tuple[str, ...] = ()
    """Sites that are emptied whatever their status: what lies there is no copy that stays."""


def placed(work: Work, which: Condition, order: Order, quiet: datetime, *, whole: bool) -> int:
    """Write a deletion for each file of valid or just condemned replicas.

    Also for those that may be half there.
    """
    held = BlockReplica.complete.is_(True) | ReplicaFile.file_id.is_not(None)
    there = case((held, func.coalesce(File.size, 0)), else_=0)
    soon, later = max(work.now, quiet), max(work.now + order.grace, quiet)
    state = ReplicaState.CONDEMNED if whole else ReplicaState.VALID
    rows = (
        select(
            literal(order.cause),
            literal(order.request_id),
            File.id,
            BlockReplica.site_id,
            BlockReplica.id if whole else literal(None),
            BlockReplica.partition_id,
            there,
            # what never arrived needs no grace
            case((held, literal(later, Utc())), else_=literal(soon, Utc())),
            *_fresh(work),
        )
        .select_from(BlockReplica)
        .join(File, (File.block_id == BlockReplica.block_id) & File.condemned_by.is_(None))
        .outerjoin(
            ReplicaFile,
            (ReplicaFile.replica_id == BlockReplica.id) & (ReplicaFile.file_id == File.id),
        )
        .where(which, BlockReplica.state == state)
    )
    return work.changed(insert(Deletion).from_select(_DELETION_COLUMNS, rows))


def unplaced(work: Work, file_ids: Collection[int], order: Order, quiet: datetime) -> int:
    """Write a deletion for files that have no block yet.

    Something of them may lie where they were to go.
    """
    rows = (
        select(
            literal(order.cause),
            literal(order.request_id),
            File.id,
            Transfer.site_id,
            literal(None),
            Dataset.partition_id,
            literal(0),
            literal(max(work.now, quiet), Utc()),
            *_fresh(work),
        )
        .select_from(File)
        .join(Transfer, Transfer.file_id == File.id)
        .join(Dataset, Dataset.id == File.dataset_id)
        .where(File.id.in_(file_ids), File.block_id.is_(None))
    )
    return work.changed(insert(Deletion).from_select(_DELETION_COLUMNS, rows))


_DELETION_COLUMNS = (
    "cause",
    "request_id",
    "file_id",
    "site_id",
    "replica_id",
    "partition_id",
    "bytes",
    "not_before",
    "state",
    "attempts",
    "lost",
    "hinted",
    "lease_no",
    "created",
    "updated",
)


def _fresh(work: Work) -> tuple[SQLColumnExpression[object], ...]:
    now = literal(work.now, Utc())
    state = transitions.start(Deletion, State.QUEUED)
    return (literal(state.value), literal(0), literal(0), now, literal(0), now, now)
