"""The catalogue's files of a site, as columns: files that may be there, and files that must."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from sqlalchemy import NotNullable, Nullable, Select, exists, or_, select

from dynamo.consistency.comparison import Catalogue
from dynamo.consistency.name_hashes import Keys, of_bytes, of_digests
from dynamo.db.catalogue import good_copies
from dynamo.db.catalogue.names import lfn_hash
from dynamo.db.engine import column_reader
from dynamo.db.engine.column_reader import ColumnQuery
from dynamo.db.engine.unit_of_work import Work
from dynamo.db.tables import (
    Block,
    BlockReplica,
    Dataset,
    Deletion,
    File,
    Transfer,
    User,
)
from dynamo.inventory.snapshot import Amounts, Flags
from dynamo.inventory.states import ReplicaState
from dynamo.operations.lifecycle import OPEN, State

_CHUNK = 1000
_OPEN = ", ".join(f"'{state}'" for state in sorted(OPEN))


Columns = tuple[Keys, Amounts, Amounts, Flags]
"""Hashes of names, keys of files, bytes, and flags of files that must be there."""


def keys(lfns: Iterable[str]) -> Keys:
    """Return the hashes of names."""
    return of_digests([lfn_hash(lfn) for lfn in lfns])


def known(work: Work, site_id: int) -> Catalogue:
    """Return all files that may be at a site: in block replicas, in transfers, in deletions."""
    parts = [_placed(work, site_id), _moving(work, site_id, "transfers")]
    parts.append(_moving(work, site_id, "deletions"))
    return Catalogue(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _placed(work: Work, site_id: int) -> Columns:
    same_file = f"x.file_id = files.id AND x.site_id = {int(site_id)}"
    sure = (  # names of the schema only
        "CASE WHEN r.state = 'valid' AND (r.complete = 1 OR l.file_id IS NOT NULL)"  # noqa: S608
        " AND files.condemned_by IS NULL AND b.condemned_by IS NULL"
        f" AND NOT EXISTS (SELECT 1 FROM deletions x WHERE {same_file})"
        f" AND NOT EXISTS (SELECT 1 FROM transfers x WHERE {same_file} AND x.state IN ({_OPEN}))"
        " THEN 1 ELSE 0 END"
    )
    table = (
        "files JOIN blocks b ON b.id = files.block_id"
        f" JOIN block_replicas r ON r.block_id = b.id AND r.site_id = {int(site_id)}"
        " LEFT JOIN replica_files l ON l.replica_id = r.id AND l.file_id = files.id"
    )
    return _read(work, table, sure, "1 = 1")


def _moving(work: Work, site_id: int, table: str) -> Columns:
    # the file of a finished transfer is in its replica, if that still exists
    where = f"x.site_id = {int(site_id)} AND x.state NOT IN ('done', 'cancelled')"
    return _read(work, f"files JOIN {table} x ON x.file_id = files.id", "0", where)


def _read(work: Work, table: str, sure: str, where: str) -> Columns:
    columns = ("files.id", "COALESCE(files.size, -1)", sure, "HEX(files.lfn_hash)")
    (ids, sizes, certain), names = column_reader.named(
        work, ColumnQuery(table, columns, where, "files.id")
    )
    return of_bytes(bytes.fromhex("".join(names))), ids, sizes, certain.astype(np.bool_)


def names(work: Work, file_ids: Sequence[int]) -> Iterator[tuple[int, str]]:
    """Yield keys and names of files."""
    for start in range(0, len(file_ids), _CHUNK):
        batch = file_ids[start : start + _CHUNK]
        yield from work.rows(select(File.id, File.lfn).where(File.id.in_(batch)))


def is_known(work: Work, site_id: int, lfn: str) -> bool:
    """Return whether a file may be at a site: in a replica, a transfer or a deletion."""
    placed = exists().where(BlockReplica.block_id == File.block_id, BlockReplica.site_id == site_id)
    coming = exists().where(
        Transfer.file_id == File.id,
        Transfer.site_id == site_id,
        Transfer.state.not_in((State.DONE, State.CANCELLED)),
    )
    leaving = exists().where(Deletion.file_id == File.id, Deletion.site_id == site_id)
    named = File.lfn_hash == lfn_hash(lfn)
    return work.scalar(select(File.id).where(named, or_(placed, coming, leaving))) is not None


class ExpectedFile(NamedTuple):
    """A file that should be at a site."""

    id: int
    lfn: str
    size: int
    adler32: str | None
    block_id: int
    dataset_id: int
    dataset: str
    owner: str | None
    """None for official data."""
    uuid: str
    """The id of its block."""
    replica_id: int
    partition_id: int
    complete: bool
    """Whether the replica has all files of the block."""


def held(work: Work, site_id: int, lfns: Collection[str]) -> list[ExpectedFile]:
    """Return the files that are certainly at a site."""
    incoming = (Transfer.file_id == File.id, Transfer.site_id == site_id, Transfer.state.in_(OPEN))
    leaving = (Deletion.file_id == File.id, Deletion.site_id == site_id)
    sure = (good_copies.holds(), ~exists().where(*leaving), ~exists().where(*incoming))
    return work.read(ExpectedFile, _meant(site_id, lfns).where(*sure))


def expected_at(work: Work, site_id: int, lfn: str) -> ExpectedFile | None:
    """Return a file that should be at a site but is not in its replica, or None."""
    return work.read_one(ExpectedFile, _meant(site_id, [lfn]).where(~good_copies.holds()))


def _meant(
    site_id: int, lfns: Collection[str]
) -> Select[int, str, int, str | None, int, int, str, str | None, str, int, int, bool]:
    """Return a statement for files in valid replicas at a site that are not condemned."""
    columns_ = (
        File.id,
        File.lfn,
        NotNullable(File.size),
        File.adler32,
        NotNullable(File.block_id),
        File.dataset_id,
        Dataset.name.label("dataset"),
        Nullable(User.name.label("owner")),
        Block.uuid,
        BlockReplica.id.label("replica_id"),
        BlockReplica.partition_id,
        BlockReplica.complete,
    )
    return (
        select(*columns_)
        .join(Block, Block.id == File.block_id)
        .join(BlockReplica, BlockReplica.block_id == Block.id)
        .join(Dataset, Dataset.id == File.dataset_id)
        .outerjoin(User, User.id == Dataset.owner_id)
        .where(
            File.lfn_hash.in_([lfn_hash(lfn) for lfn in lfns]),
            BlockReplica.site_id == site_id,
            BlockReplica.state == ReplicaState.VALID,
            File.condemned_by.is_(None),
            Block.condemned_by.is_(None),
        )
    )
