"""Booking late.

Files whose size was read at the source get their place in a block and in the quotas now.
"""

from dataclasses import replace

from sqlalchemy import ColumnElement, NotNullable, or_, select, update

from dynamo.db import requests
from dynamo.db.catalogue import accounting, block_filling
from dynamo.db.catalogue import names as catalogue_names
from dynamo.db.catalogue.replicas import Destination
from dynamo.db.engine.unit_of_work import Work, retried
from dynamo.db.requests import Tallies
from dynamo.db.tables import File, Transfer
from dynamo.db.transfers.transfers import ClaimedTransfer
from dynamo.errors import Full
from dynamo.inventory.states import RequestKind
from dynamo.operations.hints import Hint
from dynamo.operations.lifecycle import State
from dynamo.points import Point, reached
from dynamo.reasons import Reason
from dynamo.services.accounts.charging import limit
from dynamo.services.context import Context
from dynamo.services.leases import LeaseLost
from dynamo.storage.protocol import StorageError


def fix(ctx: Context, claimed: ClaimedTransfer, size: int, adler32: str) -> ClaimedTransfer:
    """Fix a file's size (bytes) and checksum as read at the source, then book it.

    Return it with its place.

    Raises Full where a quota has no room: the size stays known, so that the sweep sees when there
    is some. Raises StorageError where the job has told of other bytes since the claim.
    """
    _note(ctx, claimed, size, adler32)
    if claimed.block_id is not None:
        return replace(claimed, size=size, adler32=adler32)
    reached(Point.SIZED)
    share = _book(ctx, claimed, size)
    return replace(
        claimed, size=size, adler32=adler32, block_id=share.block_id, replica_id=share.replica_id
    )


@retried
def _note(ctx: Context, claimed: ClaimedTransfer, size: int, adler32: str) -> None:
    with ctx.begin() as work:
        mine = select(Transfer.id).where(*_own(claimed)).with_for_update()
        if work.scalar(mine) is None:  # another may have read another source by now
            raise LeaseLost(f"transfer {claimed.id}")
        same = (
            File.id == claimed.file_id,
            or_(File.size.is_(None), File.size == size),
            or_(File.adler32.is_(None), File.adler32 == adler32),
        )
        read = update(File).where(*same).values(size=size, adler32=adler32)
        if work.changed(read) != 1:
            raise StorageError(
                Reason.CHECKSUM_MISMATCH,
                f"the source has {size} bytes, adler32 {adler32}; the job has told of others since",
            )


def _own(claimed: ClaimedTransfer) -> tuple[ColumnElement[bool], ...]:
    """Tell of a transfer whether it is still the one that was claimed, and its claim ours."""
    return (
        Transfer.id == claimed.id,
        Transfer.lease_no == claimed.lease_no,
        Transfer.state == State.ACTIVE,
    )


@retried
def _book(ctx: Context, claimed: ClaimedTransfer, size: int) -> block_filling.BlockShare:
    with ctx.begin() as work:
        placed = _placed(work, claimed)
        if placed is not None:
            return placed
        dataset = catalogue_names.dataset_of(work, claimed.dataset_id)
        accounting.grow(work, dataset.id, 0, size)  # first: what follows refers to the dataset
        destination = Destination(
            dataset.id, claimed.site_id, dataset.partition_id, dataset.group_id
        )
        share = block_filling.fill(work, destination, [size], limit(ctx.settings))[0]
        if not dataset.is_open:
            # registered before the closure: it still gets its place, in a block that closes with it
            block_filling.close(work, [share.block_id])
        own = update(Transfer).where(*_own(claimed))
        if work.changed(own.values(replica_id=share.replica_id)) != 1:
            raise LeaseLost(f"transfer {claimed.id}")
        place = update(File).where(File.id == claimed.file_id, File.block_id.is_(None))
        work.changed(place.values(block_id=share.block_id, added=work.now))
        if not accounting.book(work, (claimed.site_id, dataset.partition_id), size):
            raise Full("the partition at this site has no room", Reason.STORAGE_FULL)
        if not accounting.charge(work, dataset.owner_id, 0, size):
            raise Full("the user quota would be exceeded", Reason.QUOTA_EXCEEDED)
        tallies = Tallies()
        tallies[claimed.request_id].bytes_added = size
        requests.count(work, tallies)
        waiting = requests.concerning(work, [dataset.name], [RequestKind.CLOSURE])[
            RequestKind.CLOSURE
        ]
        if waiting:
            work.hint(Hint("close", tuple(waiting), f"close {dataset.name} on"))
        return share


def _placed(work: Work, claimed: ClaimedTransfer) -> block_filling.BlockShare | None:
    """Return the place that the file has: the answer to an earlier commit may have been lost."""
    row = work.row(
        select(NotNullable(File.block_id), NotNullable(Transfer.replica_id))
        .join(Transfer, Transfer.file_id == File.id)
        .where(Transfer.id == claimed.id, File.block_id.is_not(None))
    )
    return None if row is None else block_filling.BlockShare(*row, 0, 1)
