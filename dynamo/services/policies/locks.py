"""Locks: they protect data from policies until a given time."""

from collections.abc import Collection, Sequence
from datetime import timedelta

import numpy as np
from sqlalchemy import select

from dynamo.clock import rfc3339
from dynamo.db.catalogue import keys
from dynamo.db.engine.unit_of_work import Work, retried
from dynamo.db.history import Event, record
from dynamo.db.policies import locks
from dynamo.db.policies.locks import LockRow, NewLock
from dynamo.db.snapshots import loader as snapshot_loader
from dynamo.db.tables import Dataset
from dynamo.errors import Fault, Invalid, NotFound
from dynamo.inventory import names, schemas
from dynamo.inventory.callers import Caller
from dynamo.inventory.globs import Glob
from dynamo.inventory.names import BlockName
from dynamo.inventory.snapshot import Lock
from dynamo.policy.image import Image
from dynamo.policy.locking import locked
from dynamo.reasons import Reason
from dynamo.services.context import Context
from dynamo.services.pagination import Item, Page, PageRequest, page

LONGEST = timedelta(days=3660)
"""Ten years: a permanent lock would be forgotten."""


def get(ctx: Context, lock_id: int) -> Item:
    """Return an active lock. Raises NotFound."""
    with ctx.begin.reading() as work:
        return _item(_found(work, lock_id))


def list_page(ctx: Context, dataset: str | None, owner: str | None, place: PageRequest) -> Page:
    """Return a page of active locks: all, those on a dataset, or those of an owner."""
    with ctx.begin.reading() as work:
        rows = place.of(work, locks.listing(work, dataset, owner))
        return page(rows, [_item(row) for row in rows.rows])


@retried
def update(ctx: Context, wanted: schemas.LockBody, caller: Caller) -> tuple[Item, bool]:
    """Set a lock, or change the end and reason of the same one; return it and whether it is new."""
    dataset, block = _item_of(wanted.item)
    with ctx.begin() as work:
        if not work.now < wanted.expires < work.now + LONGEST:
            fault = Fault("/expires", "is not within the next ten years")
            raise Invalid("a lock must end in the future", faults=[fault])
        sites, groups = _globs(wanted.sites), _globs(wanted.groups)
        _check_known(keys.sites(work, sites), sites, "site")
        _check_known(keys.groups(work, groups), groups, "group")
        lock = NewLock(caller.name, dataset, block, sites, groups, wanted.why, wanted.expires)
        lock_id, new = locks.change(work, lock)
        why = f"until {rfc3339(wanted.expires)}" + (f": {wanted.why}" if wanted.why else "")
        record(work, [Event("lock-set", caller.name, dataset, block, why=why)])
        return _item(_found(work, lock_id)), new


@retried
def remove(ctx: Context, lock_id: int, caller: Caller) -> Item:
    """Remove a lock before its end; return it."""
    with ctx.begin() as work:
        lock = _found(work, lock_id)
        locks.remove(work, lock_id)
        why = f"of {lock.owner}, until {rfc3339(lock.expires)}"
        record(work, [Event("lock-removed", caller.name, lock.dataset, lock.block, why=why)])
        return _item(lock)


def _found(work: Work, lock_id: int) -> LockRow:
    row = locks.get(work, lock_id)
    if row is None:
        raise NotFound(f"there is no lock {lock_id}")
    return row


def _item(row: LockRow) -> Item:
    return {
        "id": row.id,
        "item": row.dataset if row.block is None else f"{row.dataset}#{row.block}",
        "sites": row.sites,
        "groups": row.groups,
        "owner": row.owner,
        "why": row.why,
        "created": row.created,
        "expires": row.expires,
    }


def _item_of(text: str) -> tuple[str, str | None]:
    """Return dataset (or glob) and block of an item. Raises Invalid."""
    if "#" in text:
        block = BlockName.parse(text)
        return block.dataset, block.id
    glob = Glob.parse(text)
    if not names.is_dataset(text) if glob.exact else glob.text[0] not in "/*?":
        fault = Fault("/item", "is not a dataset, a glob of datasets or a block")
        raise Invalid(f"{text!r} cannot match any data", Reason.NAME_INVALID, faults=[fault])
    return glob.text, None


def _globs(texts: Sequence[str]) -> list[str]:
    """Return sorted patterns; `*` among them means all, like an empty list."""
    patterns = sorted({Glob.parse(text).text for text in texts})
    return [] if "*" in patterns else patterns


def _check_known(known: dict[str, int], wanted: Sequence[str], noun: str) -> None:
    """Refuse unknown names: a typing error must not lock other data."""
    unknown = [text for text in wanted if Glob(text).exact and text not in known]
    if unknown:
        faults = [Fault(f"/{noun}s", f"there is no {noun} {text!r}") for text in unknown]
        reason = Reason.SITE_UNKNOWN if noun == "site" else Reason.NOT_FOUND
        raise NotFound(f"there is no {noun} {unknown[0]!r}", reason, faults=faults)


def locked_since(work: Work, dataset_ids: Collection[int], seen: Collection[Lock]) -> set[int]:
    """Return the block replicas of datasets under locks that are not in `seen`."""
    names = work.scalars(select(Dataset.name).where(Dataset.id.in_(dataset_ids)))
    new = [lock for lock in locks.holding(work, locks.naming(names)) if lock not in seen]
    if not new:
        return set()
    snapshot = snapshot_loader.narrow(work, dataset_ids)
    rows = np.flatnonzero(locked(Image.whole(snapshot), new))
    return set(snapshot.block_replicas.ids[rows].tolist())
