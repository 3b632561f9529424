"""Files for callers: their sites, and reasons of missing replicas."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from dynamo.db.engine.pagination import Listing, PageRows
from dynamo.db.engine.unit_of_work import Work
from dynamo.db.views import files
from dynamo.db.views.files import BlockAtSite, FileOperation, FileView, SiteAddress
from dynamo.errors import Fault, Invalid
from dynamo.inventory import names
from dynamo.inventory.globs import Glob
from dynamo.inventory.names import BlockName
from dynamo.inventory.states import ReplicaState
from dynamo.operations.lifecycle import State
from dynamo.reasons import Reason
from dynamo.services.context import Context
from dynamo.services.pagination import Item, Page, PageRequest, page
from dynamo.storage.protocol import Storage

AVAILABLE = "available"
LOST = "lost"
_ARRIVING = {
    State.QUEUED: "expected",
    State.ACTIVE: "copying",
    State.HELD: "held",
    State.FAILED: "failed",
}
"""The state of a file by the state of its open transfer."""


@dataclass(frozen=True, slots=True)
class FileFilter:
    """Filters for files; at least one is required."""

    dataset: Glob | None = None
    block: BlockName | None = None
    lfn: Glob | None = None


def list_page(ctx: Context, wanted: FileFilter, place: PageRequest) -> Page:
    """Return a page of files with their replicas, by a fixed number of statements."""
    with ctx.begin.reading() as work:
        rows = _named(work, wanted) or place.of(work, _listing(work, wanted))
        return page(rows, _items(ctx, work, rows.rows))


def _named(work: Work, wanted: FileFilter) -> PageRows[FileView] | None:
    """Return the file of a full name, if the filter is one."""
    if wanted.lfn is None or not wanted.lfn.exact:
        return None
    rows = files.named(work, [wanted.lfn.text]) if names.is_lfn(wanted.lfn.text) else []
    return PageRows([row for row in rows if _fits(row, wanted)], None)


def _fits(row: FileView, wanted: FileFilter) -> bool:
    if wanted.dataset is not None and not wanted.dataset.fits(row.dataset):
        return False
    return wanted.block is None or (row.dataset, row.uuid) == (
        wanted.block.dataset,
        wanted.block.id,
    )


def _listing(work: Work, wanted: FileFilter) -> Listing[FileView]:
    if wanted.block is not None:
        return files.of_block(work, wanted.block, wanted.lfn)
    if wanted.dataset is not None:
        return files.of_dataset(work, wanted.dataset, wanted.lfn)
    detail = "name a dataset or a block, or one lfn without wildcards"
    raise Invalid("a filter is missing", faults=[Fault("/lfn", detail)])


# --- the files of a page at their sites --------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _World:
    """The rows about the files of a page."""

    sites: dict[int, tuple[str, Storage | None]]
    """Site → its name and its storage (None for an unsupported one)."""
    replicas: dict[int | None, dict[int, BlockAtSite]]
    """Block → site → block replica, the oldest first."""
    moving: frozenset[int]
    """Files that may have transfers or deletions."""
    present: set[tuple[int, int]]
    transfers: dict[int, dict[int, FileOperation]]
    """File → site → transfer."""
    deletions: dict[int, dict[int, FileOperation]]


def _items(ctx: Context, work: Work, rows: Sequence[FileView]) -> list[Item]:
    world = _world(ctx, work, rows)
    return [_item(world, row) for row in rows]


def _world(ctx: Context, work: Work, rows: Sequence[FileView]) -> _World:
    replicas: dict[int | None, dict[int, BlockAtSite]] = {}
    for replica in files.replicas(work, {row.block_id for row in rows if row.block_id is not None}):
        replicas.setdefault(replica.block_id, {})[replica.site_id] = replica
    # a file whose replicas are complete and stay has no transfers or deletions
    settled = {block for block, at in replicas.items() if all(map(_is_settled, at.values()))}
    moving = frozenset(
        row.id for row in rows if row.block_id not in settled or row.condemned_by is not None
    )
    parts = [r.id for at in replicas.values() for r in at.values() if not r.complete]
    transfers = _by_file(files.transfers(work, moving))
    site_ids = {site for at in replicas.values() for site in at}
    site_ids |= {site for at in transfers.values() for site in at}
    return _World(
        _sites(ctx, work, site_ids),
        replicas,
        moving,
        files.present(work, parts, moving),
        transfers,
        _by_file(files.deletions(work, moving)),
    )


def _is_settled(replica: BlockAtSite) -> bool:
    return replica.complete and replica.state != ReplicaState.CONDEMNED


def _by_file(rows: Sequence[FileOperation]) -> dict[int, dict[int, FileOperation]]:
    by_file: dict[int, dict[int, FileOperation]] = {}
    for row in rows:
        by_file.setdefault(row.file_id, {})[row.site_id] = row
    return by_file


def _sites(
    ctx: Context, work: Work, keys: Collection[int]
) -> dict[int, tuple[str, Storage | None]]:
    return {key: (row.name, _storage(ctx, row)) for key, row in files.sites(work, keys).items()}


def _storage(ctx: Context, site: SiteAddress) -> Storage | None:
    try:
        return ctx.storages.at(site.url, site.rules)
    except Invalid:  # a site with an unsupported storage still shows its files
        return None


def _item(world: _World, row: FileView) -> Item:
    replicas = _moving(world, row) if row.id in world.moving else _settled(world, row)
    return {
        "lfn": row.lfn,
        "size": row.size,
        "adler32": row.adler32,
        "dataset": row.dataset,
        "block": None if row.uuid is None else f"{row.dataset}#{row.uuid}",
        "created": row.created,
        "safe_to_delete": any(replica["safe_to_delete"] for replica in replicas),
        "replicas": replicas,
    }


def _settled(world: _World, row: FileView) -> list[Item]:
    return [
        _replica(world.sites[site], row.lfn, AVAILABLE, None)
        for site in world.replicas[row.block_id]
    ]


def _moving(world: _World, row: FileView) -> list[Item]:
    transfers = world.transfers.get(row.id, {})
    deletions = world.deletions.get(row.id, {})
    shown: list[Item] = []
    at_sites = world.replicas.get(row.block_id, {})
    for site in (*at_sites, *[site for site in transfers if site not in at_sites]):
        replica, transfer, deletion = at_sites.get(site), transfers.get(site), deletions.get(site)
        present = replica is not None and (
            replica.complete or (replica.id, row.id) in world.present
        )
        state = _state(replica, transfer, deletion, there=present)
        if state is not None:
            shown.append(_replica(world.sites[site], row.lfn, state, deletion or transfer))
    return shown


def _state(
    replica: BlockAtSite | None,
    transfer: FileOperation | None,
    deletion: FileOperation | None,
    *,
    there: bool,
) -> str | None:
    """Return the state of a file at a site; None if it neither is nor will be there."""
    if deletion is not None:
        waits = deletion.state == State.QUEUED and not deletion.attempts
        return "condemned" if waits else "deleting"
    if replica is not None and replica.state == ReplicaState.CONDEMNED:
        return "condemned" if there else None
    if there:
        return AVAILABLE
    if transfer is not None:
        lost = transfer.state == State.FAILED and transfer.reason == Reason.LOST
        return LOST if lost else _ARRIVING[State(transfer.state)]
    return "expected" if replica is not None else None


def _replica(
    site: tuple[str, Storage | None], lfn: str, state: str, work: FileOperation | None
) -> Item:
    name, storage = site
    shown: Item = {
        "site": name,
        "state": state,
        "pfn": _pfn(storage, lfn),
        "safe_to_delete": state == AVAILABLE,
    }
    if state != AVAILABLE and work is not None:
        shown["reason"] = work.reason
        shown["attempts"] = work.attempts
        shown["next_try"] = work.not_before
    return shown


def _pfn(storage: Storage | None, lfn: str) -> str | None:
    try:
        return None if storage is None else storage.pfn(lfn)
    except Invalid:  # the site's rules have no address for this name
        return None
