"""Deletion requests: data everywhere with their names, or replicas at one site."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, and_, select, update

from dynamo.db import requests
from dynamo.db.catalogue import block_filling, good_copies
from dynamo.db.catalogue import names as catalogue_names
from dynamo.db.catalogue import replicas as replica_rows
from dynamo.db.catalogue.names import DatasetRow
from dynamo.db.engine.expressions import Conditions
from dynamo.db.engine.unit_of_work import Work
from dynamo.db.evacuation import evacuation
from dynamo.db.history import Event, record
from dynamo.db.requests import NewRequest
from dynamo.db.tables import Block, BlockReplica, Dataset
from dynamo.errors import Conflict, Fault, Invalid, NotFound
from dynamo.inventory import names, schemas
from dynamo.inventory.callers import Caller
from dynamo.inventory.request_bodies import DeletionBody
from dynamo.inventory.states import DatasetStatus, ReplicaState, RequestKind
from dynamo.operations.hints import Hint, hints
from dynamo.reasons import Reason
from dynamo.services import authorization, idempotency, site_lookup, users
from dynamo.services.context import Context
from dynamo.services.idempotency import Filed, Key


def file(ctx: Context, wanted: schemas.Deletion, caller: Caller, key: Key | None = None) -> int:
    """File a deletion.

    What it may not remove is refused now, and checked again under locks when it is done.
    """
    _check_shape(wanted)
    write = partial(_file, ctx, wanted, caller)
    return idempotency.file_once(ctx.begin, caller.name, key, write, Filed).request_id


def _file(ctx: Context, wanted: schemas.Deletion, caller: Caller, work: Work) -> Filed:
    caller_id = users.ensure(work, caller.name, ctx.settings)
    dataset = authorization.dataset_of(work, wanted.dataset, caller)
    targets = _targets(work, dataset, wanted)
    if wanted.site is not None and not wanted.last_copy:
        _check_last(work, targets, ctx.settings.dealer.leaving)
    body = DeletionBody(
        site=wanted.site,
        blocks=wanted.blocks,
        lay=_set_apart(work, targets),
        files=targets.files,
        last_copy=wanted.last_copy,
        whole=wanted.site is None and wanted.blocks is None and wanted.lfns is None,
        was_open=bool(dataset.is_open),
    )
    if body.whole:
        _end_dataset(work, dataset)
    filed = NewRequest(caller_id, wanted.dataset, body, not_before=work.now)
    request_id = requests.add(work, filed)
    event = Event(
        "deletion-requested",
        caller.name,
        wanted.dataset,
        site=wanted.site,
        request_id=request_id,
    )
    record(work, [event])
    text = f"condemn data of {wanted.dataset}, request {request_id}"
    work.hint(Hint("condemn", (request_id,), text))
    return Filed(request_id)


def _end_dataset(work: Work, dataset: Any) -> None:
    """Close a dataset that is removed as a whole, and have its copies end."""
    # first of all: whoever injects holds the dataset and waits for the request's user
    ended = {"status": DatasetStatus.DELETED, "is_open": False, "updated": work.now}
    work.changed(update(Dataset).where(Dataset.id == dataset.id).values(ended))
    copies = requests.concerning(work, [dataset.name], [RequestKind.COPY])[RequestKind.COPY]
    text = f"end {{n}} copies of {dataset.name}, as it is removed"
    work.hint(*hints("plan", copies, 50, text))


@dataclass(frozen=True, slots=True)
class _Targets:
    dataset_id: int
    site_id: int | None
    blocks: tuple[str, ...] | None
    files: tuple[int, ...] | None


def _check_shape(wanted: schemas.Deletion) -> None:
    if not names.is_dataset(wanted.dataset):
        raise Invalid(f"{wanted.dataset!r} is not a dataset name", Reason.NAME_INVALID)
    if wanted.blocks is not None and wanted.lfns is not None:
        raise Invalid("name blocks or lfns, not both")
    if wanted.lfns is not None and wanted.site is not None:
        raise Invalid(
            "single files cannot be removed at one site, as blocks lie whole at a site; "
            "name blocks, or leave out the site",
            faults=[Fault("/site", "does not go with lfns")],
        )
    if wanted.blocks == () or wanted.lfns == ():
        raise Invalid("an empty list removes nothing; leave it out to mean the whole dataset")
    if wanted.last_copy and wanted.site is None:
        raise Invalid("last_copy goes with a site; without one all copies are removed anyway")


def _targets(work: Work, dataset: DatasetRow, wanted: schemas.Deletion) -> _Targets:
    site_id = None
    if wanted.site is not None:
        site_id = site_lookup.site(work, wanted.site).id
    blocks = _named_blocks(work, dataset, wanted.blocks) if wanted.blocks is not None else None
    files = _named_files(work, dataset, wanted.lfns) if wanted.lfns is not None else None
    return _Targets(dataset.id, site_id, blocks, files)


def _set_apart(work: Work, targets: _Targets) -> tuple[str, ...] | None:
    """Close the blocks that are given up, so that what comes later is none of them.

    Return those that lie at a site that is given up, where no blocks are named.
    """
    if targets.blocks is not None:
        _close(work, targets.dataset_id, Block.uuid.in_(targets.blocks))
        return None
    if targets.site_id is None:
        return None
    _close(work, targets.dataset_id, Block.site_id == targets.site_id)
    here = (BlockReplica.dataset_id == targets.dataset_id, BlockReplica.site_id == targets.site_id)
    lying = (BlockReplica.block_id == Block.id, BlockReplica.state == ReplicaState.VALID)
    return tuple(work.scalars(select(Block.uuid).join(BlockReplica, and_(*lying)).where(*here)))


def _close(work: Work, dataset_id: int, *which: ColumnElement[bool]) -> None:
    still_filled = (Block.dataset_id == dataset_id, Block.closed.is_(False), *which)
    block_filling.close(
        work, replica_rows.lock_blocks(work, work.scalars(select(Block.id).where(*still_filled)))
    )


def _named_blocks(work: Work, dataset: DatasetRow, named: Sequence[str]) -> tuple[str, ...]:
    parsed = [names.BlockName.parse(name) for name in named]
    known = set(work.scalars(select(Block.uuid).where(Block.dataset_id == dataset.id)))
    faults = [
        Fault(f"/blocks/{n}", f"{named[n]} is not a block of {dataset.name}")
        for n, block in enumerate(parsed)
        if block.dataset != dataset.name or block.id not in known
    ]
    if faults:
        raise NotFound("some blocks are unknown", Reason.BLOCK_UNKNOWN, faults=faults)
    return tuple(block.id for block in parsed)


def _named_files(work: Work, dataset: DatasetRow, lfns: Sequence[str]) -> tuple[int, ...]:
    bad = [
        Fault(f"/lfns/{n}", "is not a logical file name", lfn)
        for n, lfn in enumerate(lfns)
        if not names.is_lfn(lfn)
    ]
    if bad:
        raise Invalid("some names are not allowed", Reason.NAME_INVALID, faults=bad)
    known = catalogue_names.known_files(work, lfns)
    missing = [
        Fault(f"/lfns/{n}", f"is not a file of {dataset.name}", lfn)
        for n, lfn in enumerate(lfns)
        if lfn not in known or known[lfn].dataset_id != dataset.id
    ]
    if missing:
        raise NotFound("some files are unknown", Reason.FILE_UNKNOWN, faults=missing)
    return tuple(sorted({row.id for row in known.values()}))


def _check_last(work: Work, targets: _Targets, leaving: Collection[str]) -> None:
    assert targets.site_id is not None  # noqa: S101 - asked by the caller
    replicas = work.rows(
        select(BlockReplica.block_id, Block.uuid)
        .join(Block, Block.id == BlockReplica.block_id)
        .where(*_at_site(targets), BlockReplica.state == ReplicaState.VALID)
    )
    dying = evacuation.dying_ids(work, leaving)
    others = good_copies.others(work, [block for block, _ in replicas], {targets.site_id}, dying)
    last = [uuid for block, uuid in replicas if block not in others]
    if last:
        raise Conflict(
            f"{len(last)} blocks have no other complete copy at a ready site "
            f"({', '.join(last[:3])}); "
            "say last_copy: true to remove them all the same",
            Reason.LAST_COPY,
        )


def _at_site(targets: _Targets) -> Conditions:
    some = (Block.uuid.in_(targets.blocks),) if targets.blocks is not None else ()
    return (
        BlockReplica.dataset_id == targets.dataset_id,
        BlockReplica.site_id == targets.site_id,
        *some,
    )
