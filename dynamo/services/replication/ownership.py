"""Handing over: block replicas get another owner; no byte moves, accounts may change.

A change of account passes no limit of the partition that they come into, as they are under its
lock: what does not fit there stays with whom it belongs to.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from sqlalchemy import select, update

from dynamo.db import requests
from dynamo.db.catalogue import accounting, replicas
from dynamo.db.catalogue.accounting import BookingLimits, QuotaKey
from dynamo.db.catalogue.replicas import ReplicaRow
from dynamo.db.engine.unit_of_work import Work
from dynamo.db.history import Event, record
from dynamo.db.tables import BlockReplica, Group
from dynamo.inventory.callers import SYSTEM
from dynamo.inventory.states import ReplicaState
from dynamo.operations.hints import batches
from dynamo.reasons import Reason

Bounds = Callable[[QuotaKey], BookingLimits]
"""Says what a partition may take at a site beside its quota."""


@dataclass(frozen=True, slots=True)
class NewOwner:
    """Who gets block replicas, and the partition that they count against then."""

    group_id: int | None
    partition_id: int | None
    """None = as before."""


def hand_over(
    work: Work, new_owner: NewOwner, replica_ids: Sequence[int], cause: str, most: Bounds
) -> tuple[int, dict[int, Reason]]:
    """Give valid replicas to a group; the history keeps to whom, and the cause.

    Return how many there were, and why others stay: a request that is open names their owner, or
    there is no room in their new partition.
    """
    valid = (BlockReplica.id.in_(replica_ids), BlockReplica.state == ReplicaState.VALID)
    wanted = select(BlockReplica.block_id).where(*valid)
    replicas.lock_blocks(work, work.scalars(wanted))
    there = work.read(ReplicaRow, replicas.described().where(*valid))
    kept = requests.keeping(work, [row.id for row in there])
    rows = [row for row in there if row.id not in kept]
    given = list(rows if new_owner.partition_id is None else _account(work, rows, new_owner, most))
    group = work.scalar(select(Group.name).where(Group.id == new_owner.group_id)) or "nobody"
    record(
        work,
        [
            Event(
                "handed-over",
                SYSTEM,
                dataset=row.dataset,
                block=row.uuid,
                site=row.site,
                n_files=row.n_files,
                bytes=row.bytes,
                why=f"{cause}, to {group}",
            )
            for row in given
        ],
    )
    values: dict[str, object] = {"group_id": new_owner.group_id, "updated": BlockReplica.updated}
    if new_owner.partition_id is not None:
        values["partition_id"] = new_owner.partition_id
    ids = [row.id for row in given]
    work.changed(update(BlockReplica).where(BlockReplica.id.in_(ids)).values(values))
    full = {row.id for row in rows} - set(ids)
    return len(ids), dict.fromkeys(kept, Reason.WAITING) | dict.fromkeys(full, Reason.STORAGE_FULL)


def _account(
    work: Work, rows: Sequence[ReplicaRow], new_owner: NewOwner, most: Bounds
) -> Iterator[ReplicaRow]:
    """Move what replicas have booked and fill to a partition; yield those that fit there."""
    partition_id = new_owner.partition_id
    assert partition_id is not None  # noqa: S101 - asked by the caller
    yield from (row for row in rows if row.partition_id == partition_id)
    moving = sorted(
        (row for row in rows if row.partition_id != partition_id),
        key=lambda row: (row.site_id, row.id),
    )
    places = [(row.site_id, key) for row in moving for key in (row.partition_id, partition_id)]
    accounting.lock(work, places)
    fitting: list[ReplicaRow] = []
    for site_id, some in groupby(moving, lambda row: row.site_id):
        place = (site_id, partition_id)
        fitting += _book(work, place, list(some), most(place))
    out = ((row.site_id, row.partition_id, -row.block_bytes, -row.bytes) for row in fitting)
    accounting.shift(work, accounting.summed(out))
    yield from fitting


def _book(
    work: Work, place: QuotaKey, rows: Sequence[ReplicaRow], most: BookingLimits
) -> Iterator[ReplicaRow]:
    """Book replicas for a partition at a site; where not all fit, as many as do."""
    size, there = (sum(one) for one in zip(*((r.block_bytes, r.bytes) for r in rows), strict=True))
    if accounting.book_within(work, place, size, most, there):
        yield from rows
    elif len(rows) > 1:
        for half in batches(rows, -(-len(rows) // 2)):
            yield from _book(work, place, half, most)
