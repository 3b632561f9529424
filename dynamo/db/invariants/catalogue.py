"""Invariants of the catalogue: blocks, replicas and files."""

from sqlalchemy import and_, exists, literal, or_, select
from sqlalchemy.orm import aliased

from dynamo.db.catalogue import good_copies
from dynamo.db.invariants.limits import InvariantLimits, Statements
from dynamo.db.tables import (
    Block,
    BlockReplica,
    Dataset,
    Deletion,
    File,
    Incident,
    ReplicaFile,
    Transfer,
)
from dynamo.inventory.states import ReplicaState, TransferKind
from dynamo.operations.lifecycle import OPEN, State

_WHOLE = exists().where(BlockReplica.block_id == File.block_id, good_copies.of_block())
_LISTED = exists().where(
    ReplicaFile.file_id == File.id,
    BlockReplica.id == ReplicaFile.replica_id,
    BlockReplica.state == ReplicaState.VALID,
)
_COMING = exists().where(
    Transfer.file_id == File.id,
    # a failed first transfer explains the missing file: nothing was lost
    or_(
        Transfer.state.in_(OPEN),
        and_(Transfer.state == State.FAILED, Transfer.kind != TransferKind.COPY),
    ),
)
_KNOWN_BAD = exists().where(Incident.lfn == File.lfn, Incident.ended.is_(None))


def lost_files(_limits: InvariantLimits) -> Statements:
    """Find files without a copy, an open transfer or an incident."""
    nowhere = (File.condemned_by.is_(None), ~_COMING, ~_KNOWN_BAD)
    placed = (
        select(File.id, File.lfn)
        .join(Block, Block.id == File.block_id)
        .where(Block.condemned_by.is_(None), ~_WHOLE, ~_LISTED, *nowhere)
    )
    return placed, select(File.id, File.lfn).where(File.block_id.is_(None), *nowhere)


def overfull_blocks(limits: InvariantLimits) -> Statements:
    """Find blocks of user data over a limit; a file larger than a block has its own."""
    over = or_(
        Block.n_files > limits.block_files,
        and_(Block.bytes > limits.block_bytes, Block.n_files > 1),
    )
    statement = (
        select(Block.id, Dataset.name, Block.uuid, Block.n_files, Block.bytes)
        .join(Dataset, Dataset.id == Block.dataset_id)
        .where(Dataset.owner_id.is_not(None), over)
    )
    return (statement,)


def second_open_blocks(_limits: InvariantLimits) -> Statements:
    """Find second open blocks of a dataset at a site."""
    other = aliased(Block)
    second = exists().where(
        other.dataset_id == Block.dataset_id,
        other.site_id == Block.site_id,
        other.closed.is_(False),
        other.id < Block.id,
    )
    return (
        select(Block.id, Block.dataset_id, Block.site_id).where(Block.closed.is_(False), second),
    )


def odd_open_keys(_limits: InvariantLimits) -> Statements:
    """Find closed blocks with the key of an open one, and open blocks without it."""
    closed = and_(Block.closed.is_(True), Block.open_key.is_not(None))
    keyless = and_(Block.closed.is_(False), Block.open_key.is_(None), Block.site_id.is_not(None))
    return (select(Block.id, Block.uuid, Block.open_key).where(or_(closed, keyless)),)


def late_files(_limits: InvariantLimits) -> Statements:
    """Find files that were added to a block after it was closed."""
    # a subquery per file, as a join would read the files block by block
    closed = select(Block.closed_at).where(Block.id == File.block_id).scalar_subquery()
    return (select(File.id, File.lfn, File.block_id, File.added).where(File.added > closed),)


def falsely_complete(_limits: InvariantLimits) -> Statements:
    """Find complete replicas of open blocks, and complete replicas that list files."""
    lists = exists().where(ReplicaFile.replica_id == BlockReplica.id)
    statement = (
        select(BlockReplica.id, BlockReplica.block_id, BlockReplica.site_id)
        .join(Block, Block.id == BlockReplica.block_id)
        .where(
            BlockReplica.complete.is_(True),
            BlockReplica.state == ReplicaState.VALID,
            or_(Block.closed.is_(False), lists),
        )
    )
    return (statement,)


def falsely_incomplete(_limits: InvariantLimits) -> Statements:
    """Find valid incomplete replicas that have all files of a closed block."""
    statement = (
        select(BlockReplica.id, BlockReplica.block_id, BlockReplica.site_id)
        .join(Block, Block.id == BlockReplica.block_id)
        .where(
            BlockReplica.complete.is_(False),
            BlockReplica.state == ReplicaState.VALID,
            Block.closed.is_(True),
            Block.condemned_by.is_(None),
            Block.n_files > 0,
            BlockReplica.n_files == Block.n_files,
        )
    )
    return (statement,)


def condemned_for_nothing(_limits: InvariantLimits) -> Statements:
    """Find condemned replicas without deletions."""
    leaving = or_(
        exists().where(Deletion.replica_id == BlockReplica.id),
        # the last files of an emptied block are deleted one by one, and the block with them
        exists().where(File.block_id == BlockReplica.block_id, File.condemned_by.is_not(None)),
    )
    columns = (BlockReplica.id, BlockReplica.block_id, BlockReplica.site_id)
    condemned = BlockReplica.state == ReplicaState.CONDEMNED
    return (select(*columns).where(condemned, ~leaving),)


def strangers(_limits: InvariantLimits) -> Statements:
    """Find rows that contradict each other about their block or dataset."""
    replicas = (
        select(BlockReplica.id, literal("block replica of another dataset").label("what"))
        .join(Block, Block.id == BlockReplica.block_id)
        .where(Block.dataset_id != BlockReplica.dataset_id)
    )
    dataset_of_block = select(Block.dataset_id).where(Block.id == File.block_id).scalar_subquery()
    files = select(File.id, literal("file in a block of another dataset").label("what")).where(
        File.dataset_id != dataset_of_block
    )
    listed = (
        select(ReplicaFile.file_id, literal("listed in a replica of another block").label("what"))
        .join(File, File.id == ReplicaFile.file_id)
        .join(BlockReplica, BlockReplica.id == ReplicaFile.replica_id)
        .where(or_(File.block_id.is_(None), File.block_id != BlockReplica.block_id))
    )
    return replicas, files, listed
