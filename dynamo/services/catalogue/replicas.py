"""Block replicas for callers."""

from dataclasses import dataclass

from dynamo.db.views import blocks
from dynamo.db.views.blocks import ReplicaView
from dynamo.inventory.globs import Glob
from dynamo.services.context import Context
from dynamo.services.pagination import Item, Page, PageRequest, page


@dataclass(frozen=True, slots=True)
class ReplicaFilter:
    """Filters for block replicas."""

    dataset: Glob | None = None
    site: Glob | None = None
    group: str | None = None


def list_page(ctx: Context, wanted: ReplicaFilter, place: PageRequest) -> Page:
    """Return a page of block replicas."""
    with ctx.begin.reading() as work:
        listing = blocks.replicas(work, wanted.dataset, wanted.site, wanted.group)
        rows = place.of(work, listing)
        return page(rows, [_item(row) for row in rows.rows])


def _item(row: ReplicaView) -> Item:
    return {
        "dataset": row.dataset,
        "block": f"{row.dataset}#{row.uuid}",
        "site": row.site,
        "group": row.group,
        "partition": row.partition,
        "state": row.state,
        "complete": row.complete,
        "custodial": row.custodial,
        "files": row.n_files,
        "bytes": row.bytes,
        "block_files": row.block_files,
        "block_bytes": row.block_bytes,
        "created": row.created,
        "updated": row.updated,
    }
