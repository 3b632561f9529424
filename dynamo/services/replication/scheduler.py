"""Sending: what the Dealer decided becomes block replicas to fill and transfers that fill them.

A plan was made of a snapshot; what has changed since is noticed here, under the locks of the
blocks: what came meanwhile is not sent again, and no limit is passed by two plans together.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from sqlalchemy import func, insert, literal, select, update

from dynamo.db import requests
from dynamo.db.catalogue import accounting
from dynamo.db.catalogue import replicas as replica_rows
from dynamo.db.catalogue.accounting import BookingLimits, QuotaKey
from dynamo.db.catalogue.replicas import Destination, LockedBlock
from dynamo.db.engine import transitions
from dynamo.db.engine.unit_of_work import Work, retried
from dynamo.db.sites import switches
from dynamo.db.tables import (
    BlockReplica,
    DatasetReplica,
    File,
    Transfer,
)
from dynamo.db.tables.types import Utc
from dynamo.db.transfers import source_selection, transfers
from dynamo.db.transfers.streams import UNSENT
from dynamo.dealer.occupancy import most_bytes
from dynamo.inventory.states import ReplicaState, TransferKind
from dynamo.operations.hints import batches
from dynamo.operations.lifecycle import State
from dynamo.points import Point, reached
from dynamo.reasons import Reason
from dynamo.services.context import Context
from dynamo.services.leases import Fence, nobody
from dynamo.services.replication import ownership, partial_blocks
from dynamo.services.replication.ownership import NewOwner
from dynamo.services.transfers import throttler
from dynamo.settings import Dealer

BLOCKS_AT_ONCE = 20
"""Blocks planned in one transaction: their files are written by one statement."""
REPLICAS_AT_ONCE = 500
DEALER = "dealer"


@dataclass(frozen=True, slots=True)
class Among:
    """Sites that share a dataset's blocks, and how many of them shall have each block."""

    site_ids: tuple[int, ...]
    copies: int


@dataclass(frozen=True, slots=True)
class CopyOrder:
    """Blocks of a dataset that go to a site, on one account and for one request."""

    position: int
    """Place in the plan."""
    destination: Destination
    growing: bool
    blocks: tuple[int, ...]
    among: Among | None = None


@dataclass(frozen=True, slots=True)
class OwnerChange:
    """Block replicas that get another owner, and the partition that they count against then."""

    position: int
    group_id: int | None
    partition_id: int
    replicas: tuple[int, ...]


@dataclass(slots=True)
class Sent:
    """What became of a plan so far."""

    blocks: int = 0
    files: int = 0
    bytes: int = 0
    refused: dict[int, Reason] = field(default_factory=dict)
    """By place in the plan: why something of it was not sent, or not handed over."""
    requests: set[int] = field(default_factory=set)
    """Those for which something was sent."""


def schedule(ctx: Context, copy_orders: Iterable[CopyOrder], fence: Fence = nobody) -> Sent:
    """Set all of this going that still can; return how much that was."""
    sent = Sent()
    for order in copy_orders:
        for batch in batches(order.blocks, BLOCKS_AT_ONCE):
            _send_within(ctx, order, batch, fence, sent)
            reached(Point.SENT)
    return sent


def change(ctx: Context, changes: Iterable[OwnerChange], sent: Sent, fence: Fence = nobody) -> None:
    """Give block replicas to other groups that still have room; note where they had none."""
    for one in changes:
        for some in batches(one.replicas, REPLICAS_AT_ONCE):
            refused = _change(ctx, one, some, fence)
            if refused is not None:
                sent.refused[one.position] = refused


@retried
def _change(
    ctx: Context, wanted: OwnerChange, replica_ids: Sequence[int], fence: Fence
) -> Reason | None:
    with ctx.begin() as work:
        fence(work)
        if switches.stopped(work, DEALER):
            return Reason.SWITCHED_OFF

        def most(place: QuotaKey) -> BookingLimits:
            return _most(work, ctx.settings.dealer, place)

        new_owner = NewOwner(wanted.group_id, wanted.partition_id)
        _, staying = ownership.hand_over(work, new_owner, replica_ids, DEALER, most)
        return min(staying.values(), default=None)


def _send_within(
    ctx: Context, order: CopyOrder, block_ids: Sequence[int], fence: Fence, sent: Sent
) -> None:
    """Send blocks; where not all fit any more, as many as do."""
    done = _send(ctx, order, block_ids, fence)
    if done.full and len(block_ids) > 1:
        for half in batches(block_ids, -(-len(block_ids) // 2)):
            _send_within(ctx, order, half, fence, sent)
        return
    if done.refused is not None:
        sent.refused[order.position] = done.refused
    if done.blocks and order.destination.request_id is not None:
        sent.requests.add(order.destination.request_id)
    sent.blocks += done.blocks
    sent.files += done.files
    sent.bytes += done.bytes


@dataclass(frozen=True, slots=True)
class _Scheduled:
    """What one unit of work has sent, and why not the rest."""

    blocks: int = 0
    files: int = 0
    bytes: int = 0
    refused: Reason | None = None

    @property
    def full(self) -> bool:
        """Tell whether the site has no room for all of it."""
        return self.refused is Reason.STORAGE_FULL


@retried
def _send(ctx: Context, order: CopyOrder, block_ids: Sequence[int], fence: Fence) -> _Scheduled:
    with ctx.begin() as work:
        fence(work)
        if switches.stopped(work, DEALER):
            return _Scheduled(refused=Reason.SWITCHED_OFF)
        blocks = replica_rows.lock_blocks(work, block_ids)
        lacking, refused = _lacking(work, order, blocks)
        chosen = source_selection.best(work, lacking, to=order.destination.site_id)
        pieced = (
            source_selection.found_in_parts(work, lacking) if len(chosen) < len(lacking) else []
        )
        going = sorted({*chosen, *pieced})
        if len(going) < len(lacking):
            refused = Reason.NO_SOURCE
        if not going:
            return _Scheduled(refused=refused)
        destination = order.destination
        place = (destination.site_id, destination.partition_id)
        size = sum(blocks[block].bytes for block in going)
        if not accounting.book_within(work, place, size, _most(work, ctx.settings.dealer, place)):
            return _Scheduled(refused=Reason.STORAGE_FULL)
        replica_rows.place_all(work, destination, going)
        if order.growing:
            _grow(work, destination)
        replica_rows.pin(
            work, {replica: blocks[block].n_files for block, replica in chosen.items()}
        )
        transfers.clear_ended(work, destination.site_id, going)
        _write(work, destination, chosen)
        _piece(work, destination, pieced)
        if destination.request_id is not None:
            throttler.refill(work, ctx, [destination.request_id])
        n_files = sum(blocks[block].n_files for block in going)
        requests.more(work, destination.request_id, n_files, size)
        return _Scheduled(len(going), n_files, size, refused)


def _lacking(
    work: Work, order: CopyOrder, blocks: Mapping[int, LockedBlock]
) -> tuple[list[int], Reason | None]:
    """Return the blocks that are still to be sent, and why others are not."""
    here = (BlockReplica.block_id.in_(blocks), BlockReplica.site_id == order.destination.site_id)
    there = dict(work.rows(select(BlockReplica.block_id, BlockReplica.state).where(*here)))
    leaving = ReplicaState.CONDEMNED in there.values()
    lacking = [key for key, row in blocks.items() if key not in there and row.condemned_by is None]
    if order.among is not None:
        lacking = _still_shared(work, order.among, lacking)
    return lacking, Reason.BEING_DELETED if leaving else None


def _still_shared(work: Work, among: Among, block_ids: Collection[int]) -> list[int]:
    """Leave out blocks that another plan has given enough copies meanwhile."""
    copies = dict(
        work.rows(
            select(BlockReplica.block_id, func.count())
            .where(
                BlockReplica.block_id.in_(block_ids),
                BlockReplica.site_id.in_(among.site_ids),
                BlockReplica.state == ReplicaState.VALID,
            )
            .group_by(BlockReplica.block_id)
        )
    )
    return [key for key in block_ids if copies.get(key, 0) < among.copies]


def _most(work: Work, wanted: Dealer, place: QuotaKey) -> BookingLimits:
    """Return the limits of a site as they are now; a site without a quota takes nothing."""
    known, quota = accounting.limit(work, place)
    if not known or quota == 0:
        return BookingLimits(0, 0)
    if quota is None:
        return BookingLimits()
    of = np.array([float(quota)])
    pending = max(int(most_bytes(of, wanted.pending)[0]), wanted.pending_bytes)
    return BookingLimits(
        int(most_bytes(of, wanted.occupancy)[0]) if wanted.occupancy < 1 else None,
        pending if wanted.pending < 1 else None,
    )


def _grow(work: Work, destination: Destination) -> None:
    mine = (
        DatasetReplica.dataset_id == destination.dataset_id,
        DatasetReplica.site_id == destination.site_id,
    )
    work.changed(
        update(DatasetReplica).where(*mine).values(growing=True, group_id=destination.group_id)
    )


def _write(work: Work, destination: Destination, chosen: Mapping[int, int]) -> None:
    """Write one transfer per file of the blocks, all in one statement."""
    arriving = BlockReplica.__table__.alias("destination")
    source = BlockReplica.__table__.alias("source")
    now = literal(work.now, Utc())
    rows = (
        select(
            literal(TransferKind.COPY.value),
            literal(destination.request_id),
            File.id,
            literal(destination.site_id),
            arriving.c.id,
            source.c.id,
            literal(True),  # noqa: FBT003 - a column's value
            literal(transitions.start(Transfer, State.QUEUED).value),
            literal(0),
            literal(0),
            now,
            literal(UNSENT, Utc()),
            literal(0),
            now,
            now,
        )
        .join(
            arriving,
            (arriving.c.block_id == File.block_id) & (arriving.c.site_id == destination.site_id),
        )
        .join(source, source.c.block_id == File.block_id)
        .where(
            File.block_id.in_(chosen), File.condemned_by.is_(None), source.c.id.in_(chosen.values())
        )
    )
    columns = (
        "kind request_id file_id site_id replica_id source_id confirmed state attempts lost "
        "not_before hinted lease_no created updated"
    )
    work.changed(insert(Transfer).from_select(columns.split(), rows))


def _piece(work: Work, destination: Destination, block_ids: Collection[int]) -> None:
    """Write transfers of blocks that no site has whole, file by file."""
    if not block_ids:
        return
    assert destination.request_id is not None  # noqa: S101 - all that is sent has a request
    here = (BlockReplica.block_id.in_(block_ids), BlockReplica.site_id == destination.site_id)
    order = partial_blocks.PartialBlockOrder(destination.request_id, waits=True)
    partial_blocks.fill_up(work, order, work.scalars(select(BlockReplica.id).where(*here)))
