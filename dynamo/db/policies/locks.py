"""Locks in rows; one that has expired locks nothing and is not shown."""

import hashlib
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from itertools import product
from typing import Any

from sqlalchemy import ColumnElement, delete, func, literal, or_, select, update

from dynamo.db.engine.pagination import Listing, Selection
from dynamo.db.engine.unit_of_work import Work
from dynamo.db.tables import Block, Dataset, Lock
from dynamo.inventory import snapshot

_SHOWN: Selection = select(*Lock.__table__.columns)


def identity(values: Mapping[str, Any]) -> bytes:
    """Return the 16 bytes that two settings of the same lock have in common."""
    parts = [values["owner"], values["dataset"], values["block"] or ""]
    lists = [",".join(sorted(values[name])) for name in ("sites", "groups")]
    return hashlib.blake2b("\n".join(parts + lists).encode("ascii"), digest_size=16).digest()


def change(work: Work, values: Mapping[str, Any]) -> tuple[int, bool]:
    """Set a lock, or change when and why of the same one; return its key and whether it is new."""
    known = identity(values)
    row = work.row(select(Lock.id).where(Lock.identity == known).with_for_update())
    if row is None:
        return work.add(Lock, **values, identity=known, created=work.now), True
    changed = {"expires": values["expires"], "why": values["why"]}
    work.changed(update(Lock).where(Lock.id == row.id).values(changed))
    return int(row.id), False


def get(work: Work, lock_id: int) -> Any:
    """Return a lock that holds, or None."""
    return work.row(_SHOWN.where(Lock.id == lock_id, Lock.expires > work.now))


def listing(work: Work, dataset: str | None, owner: str | None) -> Listing:
    """List the locks that hold, those that concern a dataset, or an owner's."""
    chosen: Selection = select(Lock.id).where(Lock.expires > work.now)
    if dataset is not None:
        chosen = chosen.where(_concerns(work, dataset))
    if owner is not None:
        chosen = chosen.where(Lock.owner == owner)
    return Listing(_SHOWN, chosen, Lock.id, [Lock.id])


def _concerns(work: Work, dataset: str) -> ColumnElement[bool]:
    name = literal(dataset)
    if not work.is_mysql:
        return name.op("GLOB")(Lock.dataset)
    pattern: Any = Lock.dataset
    for letter, meant in (("_", "!_"), ("*", "%"), ("?", "_")):
        pattern = func.replace(pattern, letter, meant)
    return name.like(pattern, escape="!")


def remove(work: Work, lock_id: int) -> None:
    """Take a lock away."""
    work.changed(delete(Lock).where(Lock.id == lock_id))


def purge(work: Work, before: datetime) -> int:
    """Forget locks that expired before a moment."""
    return work.changed(delete(Lock).where(Lock.expires < before))


def holding(work: Work, *only: ColumnElement[bool]) -> tuple[snapshot.Lock, ...]:
    """Return the locks that hold now, as policies see them; all, or some only.

    One on a block that is not registered (any more) holds nothing.
    """
    rows = work.rows(
        _SHOWN.add_columns(Block.id.label("block_id"))
        .outerjoin(Dataset, Dataset.name == Lock.dataset)
        .outerjoin(Block, (Block.dataset_id == Dataset.id) & (Block.uuid == Lock.block))
        .where(*only, Lock.expires > work.now, or_(Lock.block.is_(None), Block.id.is_not(None)))
        .order_by(Lock.id)
    )
    return tuple(lock for row in rows for lock in _spread(row))


def naming(datasets: Collection[str]) -> ColumnElement[bool]:
    """Hold for locks that may concern some datasets: on their names, or with wildcards."""
    return or_(Lock.dataset.in_(datasets), Lock.dataset.contains("*"), Lock.dataset.contains("?"))


def _spread(row: Any) -> Iterator[snapshot.Lock]:
    for sites, groups in product(row.sites or [None], row.groups or [None]):
        yield snapshot.Lock(row.dataset, row.block, sites, groups, row.block_id)
