"""Locks; an expired lock has no effect and is not shown."""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import product
from typing import NamedTuple

from sqlalchemy import (
    ColumnElement,
    Nullable,
    SQLColumnExpression,
    delete,
    func,
    literal,
    or_,
    select,
    update,
)

from dynamo.db.engine.pagination import Listing
from dynamo.db.engine.unit_of_work import Work
from dynamo.db.tables import Block, Dataset, Lock
from dynamo.inventory import snapshot


class LockRow(NamedTuple):
    """A lock."""

    id: int
    owner: str
    dataset: str
    block: str | None
    sites: list[str]
    groups: list[str]
    why: str | None
    created: datetime
    expires: datetime


_SHOWN = select(
    Lock.id,
    Lock.owner,
    Lock.dataset,
    Lock.block,
    Lock.sites,
    Lock.groups,
    Lock.why,
    Lock.created,
    Lock.expires,
)


@dataclass(frozen=True, slots=True)
class NewLock:
    """A lock to set."""

    owner: str
    dataset: str
    block: str | None
    sites: Sequence[str]
    groups: Sequence[str]
    why: str | None
    expires: datetime

    @property
    def identity(self) -> bytes:
        """Return the 16 bytes that identify a lock, whatever its end and reason."""
        lists = [",".join(sorted(names)) for names in (self.sites, self.groups)]
        parts = "\n".join([self.owner, self.dataset, self.block or "", *lists])
        return hashlib.blake2b(parts.encode("ascii"), digest_size=16).digest()


def change(work: Work, new: NewLock) -> tuple[int, bool]:
    """Set a lock, or change end and reason of the same one; return its key and if it is new."""
    known = work.scalar(select(Lock.id).where(Lock.identity == new.identity).with_for_update())
    if known is None:
        return _add(work, new), True
    changed = {"expires": new.expires, "why": new.why}
    work.changed(update(Lock).where(Lock.id == known).values(changed))
    return known, False


def _add(work: Work, new: NewLock) -> int:
    return work.add(
        Lock,
        identity=new.identity,
        owner=new.owner,
        dataset=new.dataset,
        block=new.block,
        sites=list(new.sites),
        groups=list(new.groups),
        why=new.why,
        created=work.now,
        expires=new.expires,
    )


def get(work: Work, lock_id: int) -> LockRow | None:
    """Return an active lock, or None."""
    return work.read_one(LockRow, _SHOWN.where(Lock.id == lock_id, Lock.expires > work.now))


def listing(work: Work, dataset: str | None, owner: str | None) -> Listing[LockRow]:
    """List active locks: all, those on a dataset, or those of an owner."""
    chosen = select(Lock.id).where(Lock.expires > work.now)
    if dataset is not None:
        chosen = chosen.where(_concerns(work, dataset))
    if owner is not None:
        chosen = chosen.where(Lock.owner == owner)
    return Listing.of(LockRow, _SHOWN, chosen, Lock.id, [Lock.id])


def _concerns(work: Work, dataset: str) -> ColumnElement[bool]:
    name = literal(dataset)
    if not work.is_mysql:
        return name.op("GLOB")(Lock.dataset)
    pattern: SQLColumnExpression[str] = Lock.dataset
    for letter, sql in (("_", "!_"), ("*", "%"), ("?", "_")):
        pattern = func.replace(pattern, letter, sql)
    return name.like(pattern, escape="!")


def remove(work: Work, lock_id: int) -> None:
    """Delete a lock."""
    work.changed(delete(Lock).where(Lock.id == lock_id))


def purge(work: Work, before: datetime) -> int:
    """Delete locks that expired before a time."""
    return work.changed(delete(Lock).where(Lock.expires < before))


def holding(work: Work, *only: ColumnElement[bool]) -> tuple[snapshot.Lock, ...]:
    """Return active locks in the form of policies: all, or those that match.

    A lock on a block that is not registered has no effect.
    """
    rows = work.rows(
        select(Lock.dataset, Lock.block, Lock.sites, Lock.groups, Nullable(Block.id))
        .outerjoin(Dataset, Dataset.name == Lock.dataset)
        .outerjoin(Block, (Block.dataset_id == Dataset.id) & (Block.uuid == Lock.block))
        .where(*only, Lock.expires > work.now, or_(Lock.block.is_(None), Block.id.is_not(None)))
        .order_by(Lock.id)
    )
    return tuple(
        snapshot.Lock(dataset, block, site, group, block_id)
        for dataset, block, sites, groups, block_id in rows
        for site, group in product(_each(sites), _each(groups))
    )


def _each(names: list[str]) -> list[str | None]:
    """Return the names, or None alone for an empty list."""
    return [*names] or [None]


def naming(datasets: Collection[str]) -> ColumnElement[bool]:
    """Return the condition for locks that may concern datasets, by name or with wildcards."""
    return or_(Lock.dataset.in_(datasets), Lock.dataset.contains("*"), Lock.dataset.contains("?"))
