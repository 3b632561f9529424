"""What the catalogue knows of a site's files, as columns: what may be there, and what must."""

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
"""Keys of names, of files, their bytes, and whether they must be there."""


def keys(lfns: Iterable[str]) -> Keys:
    """Return the keys of names in these columns."""
    return of_digests([lfn_hash(lfn) for lfn in lfns])


def known(work: Work, site_id: int) -> Catalogue:
    """Read all that may lie at a site: in its block replicas, on its way there, on its way out."""
    parts = [_placed(work, site_id), _moving(work, site_id, "transfers")]
    parts.append(_moving(work, site_id, "deletions"))
    return Catalogue(*(np.concatenate(some) for some in zip(*parts, strict=True)))


def _placed(work: Work, site_id: int) -> Columns:
    here = f"x.file_id = files.id AND x.site_id = {int(site_id)}"
    sure = (  # words of the schema only
        "CASE WHEN r.state = 'valid' AND (r.complete = 1 OR l.file_id IS NOT NULL)"  # noqa: S608
        " AND files.condemned_by IS NULL AND b.condemned_by IS NULL"
        f" AND NOT EXISTS (SELECT 1 FROM deletions x WHERE {here})"
        f" AND NOT EXISTS (SELECT 1 FROM transfers x WHERE {here} AND x.state IN ({_OPEN}))"
        " THEN 1 ELSE 0 END"
    )
    table = (
        "files JOIN blocks b ON b.id = files.block_id"
        f" JOIN block_replicas r ON r.block_id = b.id AND r.site_id = {int(site_id)}"
        " LEFT JOIN replica_files l ON l.replica_id = r.id AND l.file_id = files.id"
    )
    return _read(work, table, sure, "1 = 1")


def _moving(work: Work, site_id: int, table: str) -> Columns:
    # of a transfer that is done the replica tells, as long as there is one
    where = f"x.site_id = {int(site_id)} AND x.state NOT IN ('done', 'cancelled')"
    return _read(work, f"files JOIN {table} x ON x.file_id = files.id", "0", where)


def _read(work: Work, table: str, sure: str, where: str) -> Columns:
    told = ("files.id", "COALESCE(files.size, -1)", sure, "HEX(files.lfn_hash)")
    (ids, sizes, certain), names = column_reader.named(
        work, ColumnQuery(table, told, where, "files.id")
    )
    return of_bytes(bytes.fromhex("".join(names))), ids, sizes, certain.astype(np.bool_)


def names(work: Work, file_ids: Sequence[int]) -> Iterator[tuple[int, str]]:
    """Yield the names of files by key."""
    for start in range(0, len(file_ids), _CHUNK):
        some = file_ids[start : start + _CHUNK]
        yield from work.rows(select(File.id, File.lfn).where(File.id.in_(some)))


def is_known(work: Work, site_id: int, lfn: str) -> bool:
    """Tell whether a name may lie at a site: it is in a replica there, comes or leaves."""
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
    """A file that is meant to be at a site, with all that must be known of it."""

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
    """Of its block."""
    replica_id: int
    partition_id: int
    complete: bool
    """All files of its block are there."""


def held(work: Work, site_id: int, lfns: Collection[str]) -> list[ExpectedFile]:
    """Return those files that are at a site for certain, with all that must be known of them."""
    here = (Transfer.file_id == File.id, Transfer.site_id == site_id, Transfer.state.in_(OPEN))
    leaving = (Deletion.file_id == File.id, Deletion.site_id == site_id)
    sure = (good_copies.holds(), ~exists().where(*leaving), ~exists().where(*here))
    return work.read(ExpectedFile, _meant(site_id, lfns).where(*sure))


def expected_at(work: Work, site_id: int, lfn: str) -> ExpectedFile | None:
    """Return a file that should be at a site and may have got lost there, or None."""
    return work.read_one(ExpectedFile, _meant(site_id, [lfn]).where(~good_copies.holds()))


def _meant(
    site_id: int, lfns: Collection[str]
) -> Select[int, str, int, str | None, int, int, str, str | None, str, int, int, bool]:
    """Select files that are meant to be at a site and that nobody has condemned."""
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
