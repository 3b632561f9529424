"""Sites where jobs can read data now."""

from collections.abc import Sequence

from dynamo.db.views import datasets, locations
from dynamo.db.views.locations import LocationRow
from dynamo.inventory import names
from dynamo.inventory.globs import Glob
from dynamo.services.context import Context
from dynamo.services.pagination import Item, Page, PageRequest, page


def get(ctx: Context, wanted: Sequence[str]) -> Page:
    """Return where these datasets can be read, in the given order; unknown ones are marked."""
    with ctx.begin.reading() as work:
        known = [name for name in wanted if names.is_dataset(name)]
        return Page(_items(wanted, locations.of(work, known)), None)


def list_page(ctx: Context, name: Glob, place: PageRequest) -> Page:
    """Return a page of matching datasets, with the sites where each can be read."""
    if name.exact:
        return get(ctx, [name.text])
    with ctx.begin.reading() as work:
        rows = place.of(work, datasets.listing(work, name, None, None))
        wanted = [row.name for row in rows.rows]
        return page(rows, _items(wanted, locations.of(work, wanted)))


def _items(wanted: Sequence[str], rows: Sequence[LocationRow]) -> list[Item]:
    blocks: dict[str, dict[str, list[LocationRow]]] = {}
    for row in rows:
        of_dataset = blocks.setdefault(row.dataset, {})
        if row.uuid is not None:
            of_dataset.setdefault(row.uuid, []).append(row)
    return [_item(name, blocks.get(name)) for name in wanted]


def _item(name: str, blocks: dict[str, list[LocationRow]] | None) -> Item:
    listed = list((blocks or {}).values())
    sites = [{row.site for row in block if row.site is not None} for block in listed]
    return {
        "dataset": name,
        "known": blocks is not None,
        "sites": sorted(set.intersection(*sites)) if sites else [],
        "blocks": [_block(block[0], here) for block, here in zip(listed, sites, strict=True)],
    }


def _block(row: LocationRow, sites: set[str]) -> Item:
    return {
        "name": f"{row.dataset}#{row.uuid}",
        "open": not row.closed,
        "files": row.n_files,
        "bytes": row.bytes,
        "sites": sorted(sites),
    }
