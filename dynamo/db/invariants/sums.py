"""The kept sums, each with the subquery that says what it should be: for checking and for repair.

A sum is compared with the level below it: a block with its files, a dataset with its blocks, a user
with the datasets. So each level is one pass, and what is wrong is reported where it went wrong.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, ScalarSelect, and_, case, func, or_, select, update

from dynamo.db.engine.expressions import Condition, total
from dynamo.db.engine.pagination import Column
from dynamo.db.engine.typed_rows import Selection
from dynamo.db.engine.unit_of_work import Work
from dynamo.db.tables import (
    Base,
    Block,
    BlockReplica,
    Dataset,
    Deletion,
    File,
    Quota,
    ReplicaFile,
    Transfer,
    User,
)
from dynamo.inventory.states import ReplicaState
from dynamo.operations.lifecycle import OPEN, State

GONE = (State.DONE, State.CANCELLED)
"""Deletions in these states hold no bytes."""


@dataclass(frozen=True, slots=True)
class Sum:
    """Columns of a table that are kept in step with others."""

    name: str
    sentence: str
    table: type[Base]
    key: Sequence[str]
    should: Mapping[str, ColumnElement[int]]
    where: Sequence[ColumnElement[bool]] = field(default=())
    one_pass: Selection | None = None
    """The same question without a look-up per row, for the largest table: 20 times faster."""

    def drifted(self) -> Selection:
        """Select the rows that differ: their key, what is kept and what it should be."""
        if self.one_pass is not None:
            return self.one_pass
        columns = [getattr(self.table, name) for name in self.key]
        for name, value in self.should.items():
            columns += [getattr(self.table, name), value.label(f"{name}_should_be")]
        differs = or_(*(getattr(self.table, name) != value for name, value in self.should.items()))
        return select(*columns).where(differs, *self.where)

    def repair(self, work: Work, row: Mapping[str, object]) -> None:
        """Set one row right, under its lock: who has counted waits, who has not counts after us."""
        mine = and_(*(getattr(self.table, name) == row[name] for name in self.key))
        work.rows(
            select(*(getattr(self.table, name) for name in self.key)).where(mine).with_for_update()
        )
        work.changed(update(self.table).where(mine).values(dict(self.should)))


def _total(column: Column, *where: Condition) -> ScalarSelect[int]:
    return select(total(column)).where(*where).scalar_subquery()


def _count(column: Column, *where: Condition) -> ScalarSelect[int]:
    return select(func.count(column)).where(*where).scalar_subquery()


def _drifted_blocks() -> Selection:
    counted = (
        select(
            File.block_id,
            func.count().label("n_files"),
            total(File.size).label("bytes"),
        )
        .where(File.block_id.is_not(None), File.condemned_by.is_(None))
        .group_by(File.block_id)
        .subquery()
    )
    n_files, size = func.coalesce(counted.c.n_files, 0), func.coalesce(counted.c.bytes, 0)
    return (
        select(
            Block.id,
            Block.n_files,
            n_files.label("n_files_should_be"),
            Block.bytes,
            size.label("bytes_should_be"),
        )
        .outerjoin(counted, counted.c.block_id == Block.id)
        .where(or_(Block.n_files != n_files, Block.bytes != size))
    )


_IN_BLOCK = (File.block_id == Block.id, File.condemned_by.is_(None))
_BLOCKS = (Block.dataset_id == Dataset.id, Block.condemned_by.is_(None))
_LOOSE = (File.dataset_id == Dataset.id, File.block_id.is_(None), File.condemned_by.is_(None))
_OWNED = Dataset.owner_id == User.id
_LISTED = ReplicaFile.replica_id == BlockReplica.id
_VALID = BlockReplica.state == ReplicaState.VALID
_HERE = (
    BlockReplica.site_id == Quota.site_id,
    BlockReplica.partition_id == Quota.partition_id,
    _VALID,
)
_LEAVING = _total(
    Deletion.bytes,
    Deletion.site_id == Quota.site_id,
    Deletion.partition_id == Quota.partition_id,
    Deletion.state.not_in(GONE),
)


def _of_replica(block_column: Column, listed: ScalarSelect[int]) -> ColumnElement[int]:
    whole = select(block_column).where(Block.id == BlockReplica.block_id).scalar_subquery()
    return case((BlockReplica.complete.is_(True), whole), else_=listed)


_LISTED_BYTES = (
    select(total(File.size))
    .select_from(ReplicaFile)
    .join(File, File.id == ReplicaFile.file_id)
    .where(_LISTED)
    .scalar_subquery()
)
_ALL_BLOCKS = (
    select(total(Block.bytes))
    .select_from(BlockReplica)
    .join(Block, Block.id == BlockReplica.block_id)
    .where(*_HERE)
    .scalar_subquery()
)

SUMS = (
    Sum(
        "block-sums",
        "a block counts the files that are in it and not condemned by themselves",
        Block,
        ("id",),
        {"n_files": _count(File.id, *_IN_BLOCK), "bytes": _total(File.size, *_IN_BLOCK)},
        one_pass=_drifted_blocks(),
    ),
    Sum(
        "dataset-sums",
        "a dataset counts its blocks that are not condemned, and files without a block as nothing",
        Dataset,
        ("id", "name"),
        {
            "n_files": _total(Block.n_files, *_BLOCKS) + _count(File.id, *_LOOSE),
            "bytes": _total(Block.bytes, *_BLOCKS),
        },
    ),
    Sum(
        "user-sums",
        "a user is charged with each file of the own datasets once",
        User,
        ("id", "name"),
        {"n_files": _total(Dataset.n_files, _OWNED), "used": _total(Dataset.bytes, _OWNED)},
    ),
    Sum(
        "replica-sums",
        "a block replica counts the files that it holds",
        BlockReplica,
        ("id", "block_id", "site_id"),
        {
            "n_files": _of_replica(Block.n_files, _count(ReplicaFile.file_id, _LISTED)),
            "bytes": _of_replica(Block.bytes, _LISTED_BYTES),
        },
        (_VALID,),
    ),
    Sum(
        "replica-pins",
        "a block replica is pinned once for each open transfer that reads from it",
        BlockReplica,
        ("id", "block_id", "site_id"),
        {
            "in_use": _count(
                Transfer.id, Transfer.source_id == BlockReplica.id, Transfer.state.in_(OPEN)
            )
        },
    ),
    Sum(
        "quota-projected",
        "reserved bytes are booked: blocks that lie or will lie here, and what has not left yet",
        Quota,
        ("site_id", "partition_id"),
        {"projected": _ALL_BLOCKS + _LEAVING},
    ),
    Sum(
        "quota-used",
        "used bytes are here: in valid replicas, or on their way out",
        Quota,
        ("site_id", "partition_id"),
        {"used": _total(BlockReplica.bytes, *_HERE) + _LEAVING},
    ),
)
"""All kept sums, the lower levels first, so that a repair works on what is right already."""
