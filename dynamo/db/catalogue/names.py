"""Registering names: datasets and files, each once in the whole system."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, func, select

from dynamo.db.engine import bulk_insert
from dynamo.db.engine.key_lists import among_hashes
from dynamo.db.engine.unit_of_work import Work
from dynamo.db.tables import Block, Dataset, File, Transfer, User
from dynamo.inventory.states import DatasetStatus
from dynamo.operations.lifecycle import State

_CHUNK = 1000

_DATASET = (
    select(
        Dataset.id,
        Dataset.name,
        Dataset.owner_id,
        Dataset.partition_id,
        Dataset.group_id,
        Dataset.is_open,
        Dataset.status,
        User.name.label("owner"),
    )
    .outerjoin(User, User.id == Dataset.owner_id)
    .where(Dataset.name == bindparam("by_name"))
)
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
        Block.condemned_by.label("block_condemned_by"),
        Transfer.id.label("transfer_id"),
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
"""What was lost at several sites has a row for each: the last one counts."""


def lfn_hash(lfn: str) -> bytes:
    """Return the 16 bytes by which a logical name is unique."""
    return hashlib.blake2b(lfn.encode("ascii"), digest_size=16).digest()


def dataset(work: Work, name: str) -> Any:
    """Return a dataset's row, with the name of its owner (None = official data), or None."""
    return work.row(_DATASET, {"by_name": name})


@dataclass(frozen=True, slots=True)
class NewDataset:
    """A dataset that is about to be registered."""

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


def known_files(work: Work, lfns: Sequence[str]) -> dict[str, Any]:
    """Return what is registered under these names.

    File, dataset and the transfer that brought it or will.
    """
    known: dict[str, Any] = {}
    for start in range(0, len(lfns), _CHUNK):
        hashes = [lfn_hash(lfn) for lfn in lfns[start : start + _CHUNK]]
        found = work.scalars(_TAKEN, {"by_hash": hashes})
        if found:  # mostly there is none: what else one would like to know is not asked for
            known |= {row.lfn: row for row in work.rows(_KNOWN, {"by_hash": found})}
    return known


def add_files(
    work: Work,
    dataset_id: int,
    block_id: int | None,
    files: Sequence[tuple[str, int | None, str | None]],
) -> list[int]:
    """Register files (name, size, checksum) in a block, or in none yet; return their keys."""
    shared = {
        "dataset_id": dataset_id,
        "block_id": block_id,
        "created": work.now,
        "added": None if block_id is None else work.now,
    }
    rows = [(lfn, lfn_hash(lfn), size, adler32) for lfn, size, adler32 in files]
    return bulk_insert.insert(work, File, shared, ("lfn", "lfn_hash", "size", "adler32"), rows)


def arrivals(work: Work, request_id: int, known: Sequence[int]) -> Sequence[Any]:
    """Return the transfers that bring files of an injection, its own and known ones.

    `id`, `lfn`, `kind`, `state`, and `rebooked_by`; those that are forgotten or whose
    files are gone are absent.
    """
    among = (Transfer.request_id == request_id) | Transfer.file_id.in_(known)
    return work.rows(
        select(File.lfn, Transfer.id, Transfer.kind, Transfer.state, Transfer.rebooked_by)
        .join(File, File.id == Transfer.file_id)
        .where(among, Transfer.kind != "copy")
    )


def still_there(work: Work, file_ids: Sequence[int]) -> int:
    """Return how many of some files are registered still."""
    return work.value(select(func.count()).where(File.id.in_(file_ids)))


def arrival_states(work: Work, file_ids: Sequence[int]) -> dict[int, str]:
    """Return how the transfers that brought files (or will) stand; files that are gone are absent.

    A transfer that is forgotten was done long ago.
    """
    arrival = (Transfer.file_id == File.id) & (Transfer.kind != "copy")
    rows = (
        select(File.id, func.coalesce(Transfer.state, State.DONE.value))
        .outerjoin(Transfer, arrival)
        .where(File.id.in_(file_ids))
    )
    return dict(work.rows(rows))
