"""Datasets for callers, and changes of datasets."""

from collections.abc import Sequence
from dataclasses import dataclass

from msgspec import UNSET

from dynamo.db.catalogue import accounting
from dynamo.db.catalogue import datasets as dataset_rows
from dynamo.db.catalogue.datasets import LockedDataset
from dynamo.db.engine.unit_of_work import Work, retried
from dynamo.db.history import Event, record
from dynamo.db.views import datasets
from dynamo.db.views.datasets import DatasetAtSite, DatasetView
from dynamo.errors import Conflict, Forbidden, Full, Invalid, NotFound
from dynamo.inventory import names, schemas
from dynamo.inventory.callers import Caller
from dynamo.inventory.globs import Glob
from dynamo.inventory.states import DatasetStatus
from dynamo.reasons import Reason
from dynamo.services import authorization, users
from dynamo.services.context import Context
from dynamo.services.pagination import Item, Page, PageRequest, page


@dataclass(frozen=True, slots=True)
class DatasetFilter:
    """Filters for datasets."""

    name: Glob | None = None
    owner: str | None = None
    status: str | None = None


def get(ctx: Context, name: str) -> Item:
    """Return one dataset. Raises NotFound."""
    with ctx.begin.reading() as work:
        return _shown(work, name)


def list_page(ctx: Context, wanted: DatasetFilter, place: PageRequest) -> Page:
    """Return a page of datasets by name."""
    with ctx.begin.reading() as work:
        listing = datasets.listing(work, wanted.name, wanted.owner, wanted.status)
        rows = place.of(work, listing)
        return page(rows, _items(work, rows.rows))


@retried
def change(ctx: Context, name: str, body: schemas.DatasetChange, caller: Caller) -> Item:
    """Change the named fields; producers change official data, operators all data.

    The bytes are charged to a new owner and refunded to the old one.
    """
    with ctx.begin() as work:
        row = dataset_rows.locked(work, name) if names.is_dataset(name) else None
        if row is None:
            raise NotFound(f"there is no dataset {name!r}", Reason.DATASET_UNKNOWN)
        authorization.check_owner(work, row.owner_id, caller)
        if DatasetStatus.DELETED in (row.status, body.status):
            raise Conflict(f"{name} is deleted by a deletion request only", Reason.BEING_DELETED)
        requested = {"status": body.status, "type": body.type}
        values = {
            field: value
            for field, value in requested.items()
            if value is not None and value != getattr(row, field)
        }
        events = [f"{field}: {getattr(row, field)} → {value}" for field, value in values.items()]
        if body.owner is not UNSET:
            events += _give(work, ctx, row, body.owner, caller)
        if events:
            dataset_rows.change(work, row.id, values)
            record(work, [Event("dataset-changed", caller.name, name, why=", ".join(events))])
        return _shown(work, name)


def _give(
    work: Work, ctx: Context, row: LockedDataset, owner: str | None, caller: Caller
) -> list[str]:
    """Set the owner of data (None = official). Raises Forbidden, Invalid, Full."""
    if not caller.may_operate:
        raise Forbidden("only operators change the owner of data")
    if owner is not None and not names.is_user(owner):
        raise Invalid(f"{owner!r} is not a user name", Reason.NAME_INVALID)
    key = None if owner is None else users.ensure(work, owner, ctx.settings)
    if key == row.owner_id:
        return []
    before = authorization.owner_name(work, row.owner_id)
    dataset_rows.change(work, row.id, {"owner_id": key})
    accounting.refund(work, row.owner_id, row.n_files, row.bytes)
    if not accounting.charge(work, key, row.n_files, row.bytes):
        raise Full(f"{owner} has no space for {row.bytes} bytes more", Reason.QUOTA_EXCEEDED)
    return [f"owner: {before or 'nobody'} → {owner or 'nobody'}"]


def _shown(work: Work, name: str) -> Item:
    row = datasets.get(work, name) if names.is_dataset(name) else None
    if row is None:
        raise NotFound(f"there is no dataset {name!r}", Reason.DATASET_UNKNOWN)
    return _items(work, [row])[0]


def _items(work: Work, rows: Sequence[DatasetView]) -> list[Item]:
    keys = [row.id for row in rows]
    blocks = datasets.blocks(work, keys)
    sites: dict[int, list[DatasetAtSite]] = {}
    for row in datasets.at_sites(work, keys):
        sites.setdefault(row.dataset_id, []).append(row)
    return [_item(row, blocks.get(row.id, 0), sites.get(row.id, [])) for row in rows]


def _item(row: DatasetView, blocks: int, sites: Sequence[DatasetAtSite]) -> Item:
    return {
        "name": row.name,
        "owner": row.owner,
        "status": row.status,
        "type": row.type,
        "open": row.is_open,
        "files": row.n_files,
        "bytes": row.bytes,
        "blocks": blocks,
        "created": row.created,
        "updated": row.updated,
        "sites": [_at(row, blocks, site) for site in sorted(sites, key=lambda site: site.site)],
    }


def _at(row: DatasetView, blocks: int, site: DatasetAtSite) -> Item:
    """Return how complete a dataset is at a site; full = all blocks are closed and complete."""
    return {
        "site": site.site,
        "blocks": site.blocks,
        "complete_blocks": site.complete,
        "files": site.n_files,
        "bytes": site.bytes,
        "share": site.n_files / row.n_files if row.n_files else 0.0,
        "full": 0 < blocks == site.complete,
        "condemned_files": site.condemned,
    }
