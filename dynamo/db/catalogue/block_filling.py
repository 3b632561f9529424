"""Fills blocks.

A dataset has at most one open block per site, within its limit; closing is final.
"""

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import BigInteger, bindparam, case, or_, select, update

from dynamo.db.catalogue.replicas import Destination, place, settle
from dynamo.db.engine.unit_of_work import Again, Work
from dynamo.db.tables import Block
from dynamo.db.tables.types import Utc

_COUNT = bindparam("by_count", type_=BigInteger())
_SIZE = bindparam("by_size", type_=BigInteger())
_MOST_FILES = bindparam("most_files", type_=BigInteger())
_MOST_BYTES = bindparam("most_bytes", type_=BigInteger())
_NOW = bindparam("by_now", type_=Utc())
_FULL = or_(Block.n_files + _COUNT >= _MOST_FILES, Block.bytes + _SIZE >= _MOST_BYTES)

_OPEN = (
    select(Block.id, Block.n_files, Block.bytes)
    .where(Block.open_key == bindparam("by_key"))
    .with_for_update()
)
# MariaDB evaluates SET from left to right: columns that depend on the old counts come first
_TAKE = (
    update(Block)
    .where(
        Block.id == bindparam("by_id"),
        Block.closed.is_(False),
        Block.n_files + _COUNT <= _MOST_FILES,
        or_(Block.n_files == 0, Block.bytes + _SIZE <= _MOST_BYTES),
    )
    .ordered_values(
        (Block.open_key, case((_FULL, None), else_=Block.open_key)),
        (Block.closed_at, case((_FULL, _NOW), else_=None)),
        (Block.closed, case((_FULL, True), else_=False)),
        (Block.n_files, Block.n_files + _COUNT),
        (Block.bytes, Block.bytes + _SIZE),
        (Block.last_file, _NOW),
    )
)


@dataclass(frozen=True, slots=True)
class BlockLimit:
    """The limits of a block."""

    files: int
    bytes: int


@dataclass(frozen=True, slots=True)
class BlockShare:
    """The files `start` up to `stop` of a list, which went into one block."""

    block_id: int
    replica_id: int
    start: int
    stop: int


def fill(
    work: Work, destination: Destination, sizes: Sequence[int], limit: BlockLimit
) -> list[BlockShare]:
    """Add files of these sizes (bytes) to the open block of a dataset at a site.

    New blocks are opened as blocks become full.

    The open block is locked first. A worker that loses the race for a new block runs the unit of
    work again.
    """
    shares: list[BlockShare] = []
    start = 0
    while start < len(sizes):
        block = _open_block(work, destination)
        stop = _fitting(sizes, start, block.n_files, block.bytes, limit)
        if stop == start:
            close(work, [block.id])
            continue
        _take(work, block.id, stop - start, sum(sizes[start:stop]), limit)
        replica_id = place(work, destination, block.id)
        shares.append(BlockShare(block.id, replica_id, start, stop))
        start = stop
    return shares


def close(work: Work, block_ids: Collection[int]) -> None:
    """Close open blocks finally, and complete the replicas that hold all their files."""
    still_open = (Block.id.in_(block_ids), Block.closed.is_(False))
    work.changed(
        update(Block).where(*still_open).values(closed=True, open_key=None, closed_at=work.now)
    )
    settle(work, block_ids)


def open_blocks(work: Work, dataset_id: int) -> list[int]:
    """Return the open blocks of a dataset."""
    return work.scalars(
        select(Block.id)
        .where(Block.dataset_id == dataset_id, Block.closed.is_(False))
        .order_by(Block.id)
    )


def open_at(work: Work, dataset_id: int, site_id: int) -> list[int]:
    """Return the open block of a dataset at a site, or an empty list."""
    open_block = (Block.dataset_id == dataset_id, Block.site_id == site_id, Block.closed.is_(False))
    return work.scalars(select(Block.id).where(*open_block))


def idle_blocks(work: Work, before: datetime, limit: int) -> list[int]:
    """Return open blocks without a new file since a time."""
    idle = select(Block.id).where(Block.open_key.is_not(None), Block.last_file < before)
    return work.scalars(idle.order_by(Block.id).limit(limit))


@dataclass(frozen=True, slots=True)
class _Open:
    id: int
    n_files: int
    bytes: int


def _open_block(work: Work, destination: Destination) -> _Open:
    key = f"{destination.dataset_id}@{destination.site_id}"
    row = work.row(_OPEN, {"by_key": key})
    if row is not None:
        return _Open(*row)
    block_id = work.add(
        Block,
        dataset_id=destination.dataset_id,
        site_id=destination.site_id,
        uuid=str(uuid.uuid4()),
        open_key=key,
        closed=False,
        n_files=0,
        bytes=0,
        created=work.now,
        last_file=work.now,
    )
    return _Open(block_id, 0, 0)


def _fitting(sizes: Sequence[int], start: int, n_files: int, size: int, limit: BlockLimit) -> int:
    """Return the end of the files that the block still takes.

    A file over the limit gets its own block.
    """
    stop = start
    while stop < len(sizes) and n_files < limit.files:
        if size + sizes[stop] > limit.bytes and n_files > 0:
            break
        size += sizes[stop]
        n_files += 1
        stop += 1
    return stop


def _take(work: Work, block_id: int, k: int, size: int, limit: BlockLimit) -> None:
    values = {
        "by_id": block_id,
        "by_count": k,
        "by_size": size,
        "most_files": limit.files,
        "most_bytes": limit.bytes,
        "by_now": work.now,
    }
    if work.changed(_TAKE, values) != 1:
        raise Again("the block was closed meanwhile")
