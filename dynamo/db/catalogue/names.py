"""Registers names of datasets and files, each once in the whole system."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Nullable, bindparam, func, select

from dynamo.db.engine import bulk_insert
from dynamo.db.engine.key_lists import among_hashes
from dynamo.db.engine.unit_of_work import Work
from dynamo.db.tables import Block, Dataset, File, Transfer, User
from dynamo.inventory.states import DatasetStatus
from dynamo.operations.lifecycle import State

_CHUNK = 1000


class DatasetRow(NamedTuple):
    """A dataset, with the name of its owner."""

    id: int
    name: str
    owner_id: int | None
    partition_id: int
    group_id: int | None
    is_open: bool
    status: str
    owner: str | None
    """None for official data."""


class Arrival(NamedTuple):
    """The transfer that brought a file or will."""

    id: int
    kind: str
    state: str
    site_id: int
    confirmed: bool
    request_id: int
    source_url: str | None
    upload: str | None
    reason: str | None
    not_before: datetime | None
    updated: datetime


class KnownFile(NamedTuple):
    """A file that is registered."""

    id: int
    lfn: str
    size: int | None
    adler32: str | None
    dataset_id: int
    block_id: int | None
    condemned_by: int | None
    block_condemned_by: int | None
    arrival: Arrival | None
    """None once its transfer is forgotten, long after it was done."""

    @property
    def has_arrived(self) -> bool:
        """Tell whether its bytes came where they were to come to."""
        return self.arrival is None or self.arrival.state == State.DONE


_DATASETS = select(
    Dataset.id,
    Dataset.name,
    Dataset.owner_id,
    Dataset.partition_id,
    Dataset.group_id,
    Dataset.is_open,
    Dataset.status,
    Nullable(User.name.label("owner")),
).outerjoin(User, User.id == Dataset.owner_id)
_DATASET = _DATASETS.where(Dataset.name == bindparam("by_name"))
_TAKEN = select(File.lfn_hash).where(among_hashes(File.lfn_hash, "by_hash"))
_KNOWN = (
    select(
        File.id,
        File.lfn,
        File.size,
        File.adler32,
        File.dataset_id,
        File.block_id,
        File.condemned_by,
        Block.condemned_by,
        Transfer.id,
        Transfer.kind,
        Transfer.state,
        Transfer.site_id,
        Transfer.confirmed,
        Transfer.request_id,
        Transfer.source_url,
        Transfer.upload,
        Transfer.reason,
        Transfer.not_before,
        Transfer.updated,
    )
    .outerjoin(Block, Block.id == File.block_id)
    .outerjoin(Transfer, (Transfer.file_id == File.id) & (Transfer.kind != "copy"))
    .where(File.lfn_hash.in_(bindparam("by_hash", expanding=True)))
    .order_by(Transfer.id)
)
"""A file lost at several sites has a row for each: the last one counts."""


def lfn_hash(lfn: str) -> bytes:
    """Return the 16 bytes that identify a logical name."""
    return hashlib.blake2b(lfn.encode("ascii"), digest_size=16).digest()


def dataset(work: Work, name: str) -> DatasetRow | None:
    """Return a dataset's row with the name of its owner (None = official data), or None."""
    return work.read_one(DatasetRow, _DATASET, {"by_name": name})


def dataset_of(work: Work, dataset_id: int) -> DatasetRow:
    """Return a dataset by its key."""
    return work.read_existing(DatasetRow, _DATASETS.where(Dataset.id == dataset_id))


@dataclass(frozen=True, slots=True)
class NewDataset:
    """A new dataset."""

    name: str
    owner_id: int | None
    partition_id: int
    group_id: int | None


def add_dataset(work: Work, new: NewDataset) -> None:
    """Register a dataset, open and empty."""
    work.add(
        Dataset,
        name=new.name,
        owner_id=new.owner_id,
        partition_id=new.partition_id,
        group_id=new.group_id,
        status=DatasetStatus.VALID,
        type="user" if new.owner_id is not None else "production",
        is_open=True,
        n_files=0,
        bytes=0,
        created=work.now,
        updated=work.now,
    )


def known_files(work: Work, lfns: Sequence[str]) -> dict[str, KnownFile]:
    """Return the registered files of these names.

    Each with its dataset and the transfer that brings or brought it.
    """
    known: dict[str, KnownFile] = {}
    for start in range(0, len(lfns), _CHUNK):
        hashes = [lfn_hash(lfn) for lfn in lfns[start : start + _CHUNK]]
        found = work.scalars(_TAKEN, {"by_hash": hashes})
        if found:  # mostly none is registered: then the larger statement is not needed
            rows = map(_known, work.rows(_KNOWN, {"by_hash": found}))
            known |= {row.lfn: row for row in rows}
    return known


def _known(row: tuple[object, ...]) -> KnownFile:
    arrival = Arrival._make(row[8:]) if row[8] is not None else None
    return KnownFile._make((*row[:8], arrival))


def add_files(
    work: Work,
    dataset_id: int,
    block_id: int | None,
    files: Sequence[tuple[str, int | None, str | None]],
) -> list[int]:
    """Register files (name, size, checksum) in a block, or without one yet; return their keys."""
    shared = {
        "dataset_id": dataset_id,
        "block_id": block_id,
        "created": work.now,
        "added": None if block_id is None else work.now,
    }
    rows = [(lfn, lfn_hash(lfn), size, adler32) for lfn, size, adler32 in files]
    return bulk_insert.insert(work, File, shared, ("lfn", "lfn_hash", "size", "adler32"), rows)


class Bringing(NamedTuple):
    """A transfer that brings a file of an injection."""

    lfn: str
    id: int
    kind: str
    state: str
    rebooked_by: int | None
    """The injection that was told its name; None = the first."""


def arrivals(work: Work, request_id: int, known: Sequence[int]) -> list[Bringing]:
    """Return the transfers of files of an injection, its own and earlier registered ones.

    Purged transfers, and transfers of deleted files, are absent.
    """
    among = (Transfer.request_id == request_id) | Transfer.file_id.in_(known)
    return work.read(
        Bringing,
        select(File.lfn, Transfer.id, Transfer.kind, Transfer.state, Transfer.rebooked_by)
        .join(File, File.id == Transfer.file_id)
        .where(among, Transfer.kind != "copy"),
    )


def still_there(work: Work, file_ids: Sequence[int]) -> int:
    """Return how many of these files are still registered."""
    return work.value(select(func.count()).where(File.id.in_(file_ids)))


def arrival_states(work: Work, file_ids: Sequence[int]) -> dict[int, str]:
    """Return the states of the transfers that bring or brought files; deleted files are absent.

    A purged transfer counts as done.
    """
    arrival = (Transfer.file_id == File.id) & (Transfer.kind != "copy")
    rows = (
        select(File.id, func.coalesce(Transfer.state, State.DONE.value))
        .outerjoin(Transfer, arrival)
        .where(File.id.in_(file_ids))
    )
    return dict(work.rows(rows))
