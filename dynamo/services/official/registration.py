"""Registers official data that are at sites, in bulk statements."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from dynamo.db import requests
from dynamo.db.catalogue import accounting, block_filling, bulk_registration, replicas
from dynamo.db.catalogue.bulk_registration import OfficialRow
from dynamo.db.deletions import purge
from dynamo.db.engine.unit_of_work import Again, Work, retried
from dynamo.db.history import Event, record
from dynamo.db.sites import switches
from dynamo.db.tables import Dataset
from dynamo.errors import Conflict, Forbidden
from dynamo.inventory import schemas
from dynamo.inventory.callers import Caller
from dynamo.inventory.states import DatasetStatus, RequestKind
from dynamo.operations.hints import batches, hints
from dynamo.reasons import Reason
from dynamo.services import authorization
from dynamo.services.context import Context
from dynamo.services.official.comparison import AT_ONCE, BlockStanding, standings
from dynamo.services.official.lookup import GROUP, NameLookup, directory
from dynamo.services.official.replicas import Placing, place
from dynamo.services.official.validation import stated
from dynamo.services.pagination import Item


@retried
def register(ctx: Context, wanted: Sequence[schemas.OfficialDataset], caller: Caller) -> Item:
    """Register the data of a call, all or nothing; known data stay unchanged.

    Returns the numbers of new items. Quotas are not checked, as the bytes are already there: they
    are only counted.
    """
    if not caller.may_produce:
        raise Forbidden("official data need the role production")
    blocks = stated(wanted, authorization.namespace(ctx.settings))
    with ctx.begin() as work:
        if switches.stopped(work, switches.INJECTION):
            raise Conflict(
                "an operator has stopped injection; try again later", Reason.SWITCHED_OFF
            )
        known = directory(work, ctx.settings, wanted)
        rows, new = _datasets(work, wanted, known, caller)
        compared = standings(work, blocks, rows, new)
        _register_files(work, compared)
        placing_ = place(work, compared, known)
        bulk_registration.place_datasets(work, _at(wanted, rows, placing_, known))
        opened = _close(work, wanted, rows, compared)
        _count(work, compared, placing_)
        ended = bulk_registration.close_datasets(
            work, [rows[o.name].id for o in wanted if o.open is False]
        )
        _record_event(work, caller, new, placing_)
        _hint(work, rows)
        return {
            "datasets": len(new),
            "blocks": sum(entry.is_new for entry in compared),
            "files": sum(len(entry.fresh) for entry in compared),
            "replicas": sum(entry.is_new for entry in placing_.placed),
            "closed_blocks": opened + sum(entry.is_new and entry.closed for entry in compared),
            "closed_datasets": len(ended),
        }


def _datasets(
    work: Work, wanted: Sequence[schemas.OfficialDataset], known: NameLookup, caller: Caller
) -> tuple[dict[str, OfficialRow], list[str]]:
    """Return the datasets' rows by name, and the names of new datasets."""
    rows = bulk_registration.datasets(work, [stated_dataset.name for stated_dataset in wanted])
    for row in rows.values():
        authorization.check_owner(work, row.owner_id, caller)
        if row.owner_id is not None:
            raise Conflict(f"{row.name} belongs to a user; use an injection", Reason.NAME_CONFLICT)
        if row.status == DatasetStatus.DELETED:
            raise Conflict(f"{row.name} is being deleted", Reason.BEING_DELETED)
    new = [stated_dataset for stated_dataset in wanted if stated_dataset.name not in rows]
    work.insert(Dataset, [_dataset_row(work, stated_dataset, known) for stated_dataset in new])
    names = [stated_dataset.name for stated_dataset in new]
    return rows | bulk_registration.datasets(work, names), names


def _dataset_row(
    work: Work, stated_dataset: schemas.OfficialDataset, known: NameLookup
) -> dict[str, object]:
    group_id = known.group(stated_dataset.group or GROUP)
    return {
        "name": stated_dataset.name,
        "owner_id": None,
        "partition_id": known.partition(stated_dataset.name, group_id),
        "group_id": group_id,
        "status": stated_dataset.status or DatasetStatus.VALID,
        "type": stated_dataset.type or "production",
        "is_open": True,
        "n_files": 0,
        "bytes": 0,
        "created": work.now,
        "updated": work.now,
    }


def _register_files(work: Work, blocks: Sequence[BlockStanding]) -> None:
    """Insert new blocks, and new files of all blocks."""
    new = [block for block in blocks if block.is_new]
    rows = [
        bulk_registration.NewBlock(
            block.dataset.id,
            block.stated.id,
            len(block.fresh),
            block.fresh_bytes,
            block.stated.closes,
        )
        for block in new
    ]
    for block, key in zip(new, bulk_registration.add_blocks(work, rows), strict=True):
        block.key = key
    for block in blocks:
        if block.fresh and not block.is_new:
            bulk_registration.grow_block(work, block.key, len(block.fresh), block.fresh_bytes)
    files = [
        (block.dataset.id, block.key, file.lfn, file.size, file.adler32)
        for block in blocks
        for file in block.fresh
    ]
    keys = iter(bulk_registration.add_files(work, files))
    for block in blocks:
        block.fresh_keys = {file.lfn: next(keys) for file in block.fresh}


# --- consequences -------------------------------------------------------------------------------


def _at(
    wanted: Sequence[schemas.OfficialDataset],
    rows: Mapping[str, OfficialRow],
    placing_: Placing,
    known: NameLookup,
) -> list[bulk_registration.DatasetPlacement]:
    """Return the sites of the datasets; statements about a dataset at a site take precedence."""
    at_sites = {
        (placed.at.block.dataset.id, placed.at.site_id): bulk_registration.DatasetPlacement(
            placed.at.block.dataset.id, placed.at.site_id, placed.at.group_id
        )
        for placed in placing_.placed
    }
    for dataset in wanted:
        row = rows[dataset.name]
        for at in dataset.replicas:
            site_id, group_id = known.sites[at.site], known.group(at.group) or row.group_id
            at_sites[row.id, site_id] = bulk_registration.DatasetPlacement(
                row.id, site_id, group_id, at.growing
            )
    return list(at_sites.values())


def _close(
    work: Work,
    wanted: Sequence[schemas.OfficialDataset],
    rows: Mapping[str, OfficialRow],
    blocks: Sequence[BlockStanding],
) -> int:
    """Close the blocks that the call closes; return how many of them were open before."""
    closing = {
        block.key for block in blocks if block.closed and not block.is_new and not block.was_closed
    }
    for dataset in wanted:
        if dataset.open is False:
            closing |= set(block_filling.open_blocks(work, rows[dataset.name].id))
    for batch in batches(sorted(closing), AT_ONCE):
        replicas.lock_blocks(work, batch)
        block_filling.close(work, batch)
        purge.forget_blocks(work, batch)
    for batch in batches(sorted(block.key for block in blocks if block.was_closed), AT_ONCE):
        replicas.settle(work, batch)
    return len(closing)


def _count(work: Work, blocks: Sequence[BlockStanding], placing_: Placing) -> None:
    """Update the sums of datasets and quotas."""
    n_files: Counter[int] = Counter()
    size: Counter[int] = Counter()
    for block in blocks:
        if block.fresh:
            n_files[block.dataset.id] += len(block.fresh)
            size[block.dataset.id] += block.fresh_bytes
    if not bulk_registration.grow_datasets(
        work, {key: (n_files[key], size[key]) for key in n_files}
    ):
        raise Again("a dataset was closed meanwhile")
    accounting.shift(work, placing_.changes)


def _record_event(work: Work, caller: Caller, new: Sequence[str], placing_: Placing) -> None:
    """Record new data in the history, by dataset and site."""
    n_files: Counter[tuple[str, str]] = Counter()
    size: Counter[tuple[str, str]] = Counter()
    for placed in placing_.placed:
        key = placed.at.block.dataset.name, placed.at.replica.site
        n_files[key] += len(placed.files)
        size[key] += placed.size
    events = [Event("dataset-registered", caller.name, name) for name in new]
    for dataset, site in n_files:
        sums = n_files[dataset, site], size[dataset, site]
        events.append(
            Event("placed", caller.name, dataset, site=site, n_files=sums[0], bytes=sums[1])
        )
    record(work, events)


def _hint(work: Work, datasets: Collection[str]) -> None:
    """Send hints for copies and closures that wait for these data."""
    tasks = {RequestKind.COPY: "plan", RequestKind.CLOSURE: "close"}
    for kind, ids in requests.concerning(work, datasets, list(tasks)).items():
        text = f"{tasks[kind]} {{n}} requests of official data"
        work.hint(*hints(tasks[kind], ids, 50, text))
