"""Blocks for callers."""

from dynamo.db.views import blocks
from dynamo.db.views.blocks import BlockView, ReplicaView
from dynamo.inventory.globs import Glob
from dynamo.inventory.names import BlockName
from dynamo.services.context import Context
from dynamo.services.pagination import Item, Page, PageRequest, page


def list_page(
    ctx: Context, dataset: Glob | None, block: BlockName | None, place: PageRequest
) -> Page:
    """Return a page of blocks with their replicas."""
    if block is not None:
        dataset = Glob(block.dataset)
    with ctx.begin.reading() as work:
        rows = place.of(work, blocks.listing(work, dataset, block.id if block else None))
        replicas: dict[int, list[Item]] = {}
        for row in blocks.replicas_of(work, [row.id for row in rows.rows]):
            replicas.setdefault(row.block_id, []).append(_replica(row))
        return page(rows, [_item(row, replicas.get(row.id, [])) for row in rows.rows])


def _item(row: BlockView, replicas: list[Item]) -> Item:
    return {
        "name": f"{row.dataset}#{row.uuid}",
        "dataset": row.dataset,
        "open": not row.closed,
        "files": row.n_files,
        "bytes": row.bytes,
        "site": row.site,
        "created": row.created,
        "last_file": row.last_file,
        "closed": row.closed_at,
        "replicas": replicas,
    }


def _replica(row: ReplicaView) -> Item:
    return {
        "site": row.site,
        "complete": row.complete,
        "files": row.n_files,
        "bytes": row.bytes,
        "group": row.group,
        "state": row.state,
    }
