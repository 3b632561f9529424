"""Partitions: their occupancy in total and per site, and their permissions."""

from collections.abc import Sequence

from dynamo.db.engine.unit_of_work import Work, retried
from dynamo.db.history import Event, record
from dynamo.db.sites import sites as site_rows
from dynamo.db.views import sites
from dynamo.db.views.sites import QuotaRow
from dynamo.errors import NotFound
from dynamo.inventory import schemas
from dynamo.inventory.callers import Caller
from dynamo.services.accounts.unique_share import Share
from dynamo.services.context import Context
from dynamo.services.pagination import Item


def list_all(ctx: Context) -> list[Item]:
    """Return all partitions."""
    with ctx.begin.reading() as work:
        return _items(ctx, work)


def get(ctx: Context, name: str) -> Item:
    """Return one partition. Raises NotFound."""
    with ctx.begin.reading() as work:
        return _shown(ctx, work, name)


@retried
def update(ctx: Context, name: str, body: schemas.PartitionBody, caller: Caller) -> Item:
    """Set what policies may do in a partition. Raises NotFound."""
    with ctx.begin() as work:
        before = _shown(ctx, work, name)
        key = site_rows.partition_id(work, name)
        if key is not None and before["allow_last_copy"] is not body.allow_last_copy:
            site_rows.set_partition(work, key, {"allow_last_copy": body.allow_last_copy})
            allowed = "may" if body.allow_last_copy else "may not"
            why = f"{name}: policies {allowed} delete the last copy of valid data"
            record(work, [Event("partition-changed", caller.name, why=why)])
        return _shown(ctx, work, name)


def _shown(ctx: Context, work: Work, name: str) -> Item:
    for item in _items(ctx, work):
        if item["name"] == name:
            return item
    raise NotFound(f"there is no partition {name!r}")


def _items(ctx: Context, work: Work) -> list[Item]:
    unique = sites.unique_bytes(work)
    quotas = sites.quotas(work)
    limits = ctx.settings.user
    items = []
    for row in sites.partitions(work):
        own = [(quota.site, Share.of(quota, unique)) for quota in _of(quotas, row.id)]
        promised = sites.promised(work) if row.name == limits.partition else 0
        items.append(
            {
                "name": row.name,
                "definition": row.definition,
                "allow_last_copy": row.allow_last_copy,
                **Share.sum(share for _, share in own).item(limits),
                "promised": promised,
                "sites": [{"site": site, **share.item(limits)} for site, share in own],
            }
        )
    return items


def _of(quotas: Sequence[QuotaRow], partition_id: int) -> list[QuotaRow]:
    return [quota for quota in quotas if quota.partition_id == partition_id]
