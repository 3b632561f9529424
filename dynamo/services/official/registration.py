"""Registering official data that already lie at sites, set by set."""

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
    """Register what a call states, all or nothing; what is known already stays as it is.

    Return how much of it was new. The bytes are there whatever a quota says: they are counted, not
    asked for.
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
        found = standings(work, blocks, rows, new)
        _register_files(work, found)
        placing_ = place(work, found, known)
        bulk_registration.place_datasets(work, _at(wanted, rows, placing_, known))
        opened = _close(work, wanted, rows, found)
        _count(work, found, placing_)
        ended = bulk_registration.close_datasets(
            work, [rows[o.name].id for o in wanted if o.open is False]
        )
        _record_event(work, caller, new, placing_)
        _hint(work, rows)
        return {
            "datasets": len(new),
            "blocks": sum(one.is_new for one in found),
            "files": sum(len(one.fresh) for one in found),
            "replicas": sum(one.is_new for one in placing_.placed),
            "closed_blocks": opened + sum(one.is_new and one.closed for one in found),
            "closed_datasets": len(ended),
        }


def _datasets(
    work: Work, wanted: Sequence[schemas.OfficialDataset], known: NameLookup, caller: Caller
) -> tuple[dict[str, OfficialRow], list[str]]:
    """Return the datasets' rows by name, and which of them were registered now."""
    rows = bulk_registration.datasets(work, [one.name for one in wanted])
    for row in rows.values():
        authorization.check_owner(work, row.owner_id, caller)
        if row.owner_id is not None:
            raise Conflict(
                f"{row.name} belongs to a user; injections go there", Reason.NAME_CONFLICT
            )
        if row.status == DatasetStatus.DELETED:
            raise Conflict(f"{row.name} is being deleted", Reason.BEING_DELETED)
    new = [one for one in wanted if one.name not in rows]
    work.insert(Dataset, [_dataset_row(work, one, known) for one in new])
    names = [one.name for one in new]
    return rows | bulk_registration.datasets(work, names), names


def _dataset_row(work: Work, one: schemas.OfficialDataset, known: NameLookup) -> dict[str, object]:
    group_id = known.group(one.group or GROUP)
    return {
        "name": one.name,
        "owner_id": None,
        "partition_id": known.partition(one.name, group_id),
        "group_id": group_id,
        "status": one.status or DatasetStatus.VALID,
        "type": one.type or "production",
        "is_open": True,
        "n_files": 0,
        "bytes": 0,
        "created": work.now,
        "updated": work.now,
    }


def _register_files(work: Work, blocks: Sequence[BlockStanding]) -> None:
    """Write down new blocks, and the new files of all."""
    new = [one for one in blocks if one.is_new]
    rows = [
        bulk_registration.NewBlock(
            one.dataset.id, one.stated.id, len(one.fresh), one.fresh_bytes, one.stated.closes
        )
        for one in new
    ]
    for one, key in zip(new, bulk_registration.add_blocks(work, rows), strict=True):
        one.key = key
    for one in blocks:
        if one.fresh and not one.is_new:
            bulk_registration.grow_block(work, one.key, len(one.fresh), one.fresh_bytes)
    files = [
        (one.dataset.id, one.key, file.lfn, file.size, file.adler32)
        for one in blocks
        for file in one.fresh
    ]
    keys = iter(bulk_registration.add_files(work, files))
    for one in blocks:
        one.fresh_keys = {file.lfn: next(keys) for file in one.fresh}


# --- what follows -------------------------------------------------------------------------------


def _at(
    wanted: Sequence[schemas.OfficialDataset],
    rows: Mapping[str, OfficialRow],
    placing_: Placing,
    known: NameLookup,
) -> list[bulk_registration.DatasetPlacement]:
    """Return at which sites datasets are now; what the call says of a dataset there counts."""
    found = {
        (one.at.block.dataset.id, one.at.site_id): bulk_registration.DatasetPlacement(
            one.at.block.dataset.id, one.at.site_id, one.at.group_id
        )
        for one in placing_.placed
    }
    for dataset in wanted:
        row = rows[dataset.name]
        for at in dataset.replicas:
            site_id, group_id = known.sites[at.site], known.group(at.group) or row.group_id
            found[row.id, site_id] = bulk_registration.DatasetPlacement(
                row.id, site_id, group_id, at.growing
            )
    return list(found.values())


def _close(
    work: Work,
    wanted: Sequence[schemas.OfficialDataset],
    rows: Mapping[str, OfficialRow],
    blocks: Sequence[BlockStanding],
) -> int:
    """Close what the call closes; return how many blocks that were open before."""
    closing = {one.key for one in blocks if one.closed and not one.is_new and not one.was_closed}
    for dataset in wanted:
        if dataset.open is False:
            closing |= set(block_filling.open_blocks(work, rows[dataset.name].id))
    for some in batches(sorted(closing), AT_ONCE):
        replicas.lock_blocks(work, some)
        block_filling.close(work, some)
        purge.forget_blocks(work, some)
    for some in batches(sorted(one.key for one in blocks if one.was_closed), AT_ONCE):
        replicas.settle(work, some)
    return len(closing)


def _count(work: Work, blocks: Sequence[BlockStanding], placing_: Placing) -> None:
    """Keep the sums of datasets and quotas in step."""
    n_files: Counter[int] = Counter()
    size: Counter[int] = Counter()
    for one in blocks:
        if one.fresh:
            n_files[one.dataset.id] += len(one.fresh)
            size[one.dataset.id] += one.fresh_bytes
    if not bulk_registration.grow_datasets(
        work, {key: (n_files[key], size[key]) for key in n_files}
    ):
        raise Again("a dataset was closed meanwhile")
    accounting.shift(work, placing_.changes)


def _record_event(work: Work, caller: Caller, new: Sequence[str], placing_: Placing) -> None:
    """Write into the history what came, dataset by dataset and site by site."""
    n_files: Counter[tuple[str, str]] = Counter()
    size: Counter[tuple[str, str]] = Counter()
    for one in placing_.placed:
        where = one.at.block.dataset.name, one.at.replica.site
        n_files[where] += len(one.files)
        size[where] += one.size
    events = [Event("dataset-registered", caller.name, name) for name in new]
    for dataset, site in n_files:
        told = n_files[dataset, site], size[dataset, site]
        events.append(
            Event("placed", caller.name, dataset, site=site, n_files=told[0], bytes=told[1])
        )
    record(work, events)


def _hint(work: Work, datasets: Collection[str]) -> None:
    """Tell the copies and closures that wait for these data."""
    tasks = {RequestKind.COPY: "plan", RequestKind.CLOSURE: "close"}
    for kind, ids in requests.concerning(work, datasets, list(tasks)).items():
        text = f"{tasks[kind]} {{n}} requests of official data"
        work.hint(*hints(tasks[kind], ids, 50, text))
