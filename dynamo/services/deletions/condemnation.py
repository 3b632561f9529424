"""Condemning: what deletion requests name is marked to leave, block by block, under the guard."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta

from sqlalchemy import bindparam, func, select, update

from dynamo.db import requests
from dynamo.db.catalogue import accounting
from dynamo.db.catalogue import names as catalogue_names
from dynamo.db.catalogue import replicas as replica_rows
from dynamo.db.catalogue.names import DatasetRow
from dynamo.db.catalogue.replicas import LockedBlock
from dynamo.db.deletions import condemnation, dispatch, purge
from dynamo.db.deletions.scheduling import Order
from dynamo.db.engine.expressions import Conditions
from dynamo.db.engine.unit_of_work import Work, retried
from dynamo.db.requests import RequestRow
from dynamo.db.sites import switches
from dynamo.db.tables import (
    Block,
    BlockReplica,
    Cycle,
    Dataset,
    Deletion,
    File,
    Request,
    Site,
    Transfer,
)
from dynamo.inventory.request_bodies import DeletionBody, RequestBody, SystemDeletionBody
from dynamo.inventory.states import ENDED, ReplicaState, RequestKind, RequestState
from dynamo.operations.hints import batches
from dynamo.operations.lifecycle import State
from dynamo.points import Point, reached
from dynamo.reasons import Reason
from dynamo.services import users
from dynamo.services.context import Context
from dynamo.services.deletions import guard

BLOCKS_AT_ONCE = 20
_NOT_CONDEMNED = (Reason.LAST_COPY, Reason.VOLUME_LIMIT)
"""What is said of a deletion until its end: it tells of what was not condemned."""


def run(ctx: Context, request_ids: Sequence[int]) -> None:
    """Carry out the first half of deletion requests: what they name is condemned, block by block.

    It goes by what is still there, so it may be cut off and run again at any point.
    """
    for request_id in request_ids:
        request = _open(ctx, request_id)
        if request is not None:
            with suppress(_Cancelled):
                _condemn(ctx, request)
        _judge(ctx, request_id)


Blocks = Mapping[int, LockedBlock]
"""By key; locked."""


@dataclass(frozen=True, slots=True)
class _Open:
    id: int
    who: str
    dataset: DatasetRow | None
    body: DeletionBody
    site_id: int | None


class _Cancelled(Exception):
    """The request has ended meanwhile: what it would condemn now, nobody could rescue."""


def _condemn(ctx: Context, request: _Open) -> None:
    if request.body.files is not None:
        for batch in batches(sorted(request.body.files), 1000):
            _condemn_files(ctx, request, batch)
            reached(Point.CONDEMNED)
        return
    for batch in batches(_blocks(ctx, request), BLOCKS_AT_ONCE):
        _condemn_blocks(ctx, request, batch)
        reached(Point.CONDEMNED)
    if request.body.whole:
        _condemn_files(ctx, request, _loose_files(ctx, request))


@retried
def _open(ctx: Context, request_id: int) -> _Open | None:
    with ctx.begin.reading() as work:
        request = requests.get(work, request_id, DeletionBody)
        if request is None or request.state in ENDED:
            return None
        dataset = catalogue_names.dataset(work, request.dataset)
        site = request.body.site
        site_id = (
            work.scalar(select(Site.id).where(Site.name == site)) if site is not None else None
        )
        return _Open(
            request_id, users.name_of(work, request.owner_id) or "", dataset, request.body, site_id
        )


def _order(ctx: Context, request: _Open) -> Order:
    deletion, leaving = ctx.settings.deletion, ctx.settings.dealer.leaving
    grace, most = timedelta(hours=deletion.grace_hours), deletion.site_bytes
    return Order(request.id, "user", request.who, grace, most=most, leaving=leaving)


@retried
def _blocks(ctx: Context, request: _Open) -> list[int]:
    if request.dataset is None:
        return []
    with ctx.begin.reading() as work:
        return _uncondemned(work, request.dataset.id, request.body)


def _uncondemned(work: Work, dataset_id: int, body: DeletionBody) -> list[int]:
    """Return the blocks that a deletion means and nobody has condemned yet."""
    wanted = select(Block.id, Block.uuid).where(
        Block.dataset_id == dataset_id, Block.condemned_by.is_(None)
    )
    if body.site is not None:
        here = (BlockReplica.block_id == Block.id, BlockReplica.state == ReplicaState.VALID)
        replicas = select(BlockReplica.id).join(Site, Site.id == BlockReplica.site_id)
        wanted = wanted.where(replicas.where(*here, Site.name == body.site).exists())
    meant = body.block_ids
    rows = work.rows(wanted.order_by(Block.id))
    return [block for block, uuid in rows if meant is None or uuid in meant]


@retried
def _condemn_blocks(ctx: Context, request: _Open, block_ids: Sequence[int]) -> None:
    with ctx.begin() as work:
        locked = replica_rows.lock_blocks(work, block_ids)
        blocks = {b: row for b, row in locked.items() if row.condemned_by is None}
        if request.site_id is not None:
            whole = _last_ones(work, request, blocks)
            _condemn_here(work, ctx, request, blocks.keys() - whole.keys())
        else:
            whole = blocks
        if whole and not switches.stopped(work, switches.DELETIONS):
            _condemn_whole(work, ctx, request, whole)
        dispatch.announce(work, request.id, ctx.settings.work.batch)


def _last_ones(work: Work, request: _Open, blocks: Blocks) -> Blocks:
    """Return the blocks of which no complete copy stays, if the owner said that they may go.

    With its last copy a block is gone: its names leave the catalogue, as nothing can be read any
    more under them.
    """
    if not request.body.last_copy:
        return {}
    stays = select(BlockReplica.block_id).where(
        BlockReplica.block_id.in_(blocks),
        BlockReplica.site_id != request.site_id,
        BlockReplica.state == ReplicaState.VALID,
        BlockReplica.complete.is_(True),
    )
    here = select(BlockReplica.block_id).where(
        BlockReplica.block_id.in_(blocks),
        BlockReplica.site_id == request.site_id,
        BlockReplica.state == ReplicaState.VALID,
    )
    lost = set(work.scalars(here)) - set(work.scalars(stays))
    return {block: row for block, row in blocks.items() if block in lost}


def _condemn_here(work: Work, ctx: Context, request: _Open, block_ids: Collection[int]) -> None:
    here = (BlockReplica.block_id.in_(block_ids), BlockReplica.site_id == request.site_id)
    replicas = work.scalars(select(BlockReplica.id).where(*here))
    result = guard.condemn(work, replicas, _order(ctx, request), last_copies=request.body.last_copy)
    _count(work, request.id, result.n_files)
    _note_refusals(work, request.id, result.refused)


def _condemn_whole(work: Work, ctx: Context, request: _Open, blocks: Blocks) -> None:
    """Condemn blocks everywhere.

    Their owner does not want them any more, so the last copy goes as well.
    """
    replicas = guard.placed(work, BlockReplica.block_id.in_(blocks))
    replicas.sort(key=lambda replica: (replica.block_id, replica.id))
    idle = set(switches.stopped_sites(work))
    late = guard.beyond(work, replicas, ctx.settings.deletion.site_bytes)
    _note_refusals(work, request.id, guard.Refusals(too_much=tuple(late)))
    waiting = {row.block_id for row in replicas if row.site in idle or row.id in late}
    going = {block: row for block, row in blocks.items() if block not in waiting}
    if not going:
        return
    files = select(File.id).where(File.block_id.in_(going))
    quiet = condemnation.cancel_transfers(work, Transfer.file_id.in_(files))
    order = replace(_order(ctx, request), quiet=quiet, most=None)
    result = guard.condemn(
        work, [r.id for r in replicas if r.block_id in going], order, last_copies=True
    )
    take_out(work, request.id, going)
    _count(work, request.id, result.n_files)
    purge.forget_blocks(work, going)


def take_out(work: Work, request_id: int, blocks: Blocks) -> None:
    """Take blocks of which no replica stays out of their datasets and their owners' quotas."""
    work.changed(
        update(Block)
        .where(Block.id.in_(blocks))
        .values(condemned_by=request_id, closed=True, open_key=None)
    )
    concerned = Dataset.id.in_({block.dataset_id for block in blocks.values()})
    for dataset_id, owner_id in work.rows(select(Dataset.id, Dataset.owner_id).where(concerned)):
        mine = [block for block in blocks.values() if block.dataset_id == dataset_id]
        n_files, size = sum(block.n_files for block in mine), sum(block.bytes for block in mine)
        accounting.grow(work, dataset_id, -n_files, -size)
        accounting.refund(work, owner_id, n_files, size)


@retried
def _loose_files(ctx: Context, request: _Open) -> list[int]:
    if request.dataset is None:
        return []
    with ctx.begin.reading() as work:
        loose = select(File.id).where(*_loose(request.dataset.id))
        return work.scalars(loose.order_by(File.id))


def _loose(dataset_id: int) -> Conditions:
    """Return the conditions for files that have no block yet."""
    return (File.dataset_id == dataset_id, File.block_id.is_(None), File.condemned_by.is_(None))


@retried
def _condemn_files(ctx: Context, request: _Open, file_ids: Collection[int]) -> None:
    with ctx.begin() as work:
        files = work.rows(
            select(File.id, File.block_id).where(File.id.in_(file_ids), File.condemned_by.is_(None))
        )
        replica_rows.lock_blocks(work, {block for _, block in files if block is not None})
        if files and not switches.stopped(work, switches.DELETIONS):
            ids = [key for key, _ in files]
            late = guard.files_beyond(work, ids, ctx.settings.deletion.site_bytes)
            _note_refusals(work, request.id, guard.Refusals(too_much=tuple(late)))
            going = sorted(set(ids) - set(late))
            _count(work, request.id, condemnation.drop(work, going, _order(ctx, request)))
        dispatch.announce(work, request.id, ctx.settings.work.batch)


def _count(work: Work, request_id: int, n_files: int) -> None:
    """Count files that this unit of work has condemned. Raises _Cancelled, which takes it back."""
    more = {"n_files": Request.n_files + n_files}
    if not requests.move(work, request_id, RequestState.RUNNING, **more):
        raise _Cancelled


def _note_refusals(work: Work, request_id: int, refused: guard.Refusals) -> None:
    if refused.last_copy:
        detail = f"{len(refused.last_copy)} blocks have no other complete copy at a ready site"
        requests.change(work, request_id, reason=Reason.LAST_COPY, detail=detail)
    elif refused.too_much:
        detail = "as much as may is leaving these sites; the rest follows when others are gone"
        requests.change(work, request_id, reason=Reason.VOLUME_LIMIT, detail=detail)


# --- how far it is --------------------------------------------------------------------------------


@retried
def _judge(ctx: Context, request_id: int) -> None:
    with ctx.begin() as work:
        judge(work, request_id, ctx.again)


def judge_all(work: Work, request_ids: Collection[int], again: timedelta) -> None:
    """Say of those of the requests that are deletions how far they are."""
    mine = (Request.id.in_(request_ids), Request.kind == RequestKind.DELETION)
    for request_id in work.scalars(select(Request.id).where(*mine).order_by(Request.id)):
        judge(work, request_id, again)


def judge(work: Work, request_id: int, again: timedelta) -> None:
    """Say how far a deletion is; it has ended when all it named has gone, or stays for good."""
    request = requests.locked(work, request_id, RequestBody)
    if request is None or request.state in ENDED:
        return
    counted = (
        select(Deletion.state, func.count())
        .where(Deletion.request_id == request_id)
        .group_by(Deletion.state)
    )
    left = dict(work.rows(counted))
    undone = _undone(work, request)
    refused = request.reason == Reason.LAST_COPY
    if not left and (not undone or refused):
        state = RequestState.FAILED if refused else RequestState.DONE
        said = (request.reason, request.detail) if refused else (None, None)
        requests.end(work, request_id, state, *said)
        return
    due = work.now + again if undone else None
    rests = set(left) == {State.HELD}
    waits = bool(undone) and request.reason == Reason.VOLUME_LIMIT and not left
    state = RequestState.HELD if rests or waits else RequestState.RUNNING
    requests.move(work, request_id, state, not_before=due, **_why(work, request, rests=rests))


def _why(work: Work, request: RequestRow[RequestBody], *, rests: bool) -> dict[str, str | None]:
    """Return why a deletion rests, as all that is left of it is held.

    What was not condemned is told until its end.
    """
    if request.reason in _NOT_CONDEMNED:
        return {}
    why = work.row(_HELD, {"of_request": request.id}) if rests else None
    reason, detail = why or (None, None)
    return {"reason": reason, "detail": detail}


_HELD = (
    select(Deletion.reason, Deletion.error)
    .where(Deletion.request_id == bindparam("of_request"), Deletion.state == State.HELD)
    .order_by(Deletion.id)
    .limit(1)
)


def _undone(work: Work, request: RequestRow[RequestBody]) -> int:
    """Count what the request names and nobody has condemned yet.

    It is read from, or deletions are stopped. Of the system's own: whether its cycle still runs.
    """
    body = request.body
    if isinstance(body, SystemDeletionBody):
        going = (Cycle.id == body.cycle_id, Cycle.state == RequestState.RUNNING)
        return work.value(select(func.count()).select_from(Cycle).where(*going))
    dataset = catalogue_names.dataset(work, request.dataset)
    if dataset is None or not isinstance(body, DeletionBody):
        return 0
    if body.files is not None:
        named = (
            File.id.in_(body.files),
            File.condemned_by.is_(None),
            Block.condemned_by.is_(None),
            File.dataset_id == dataset.id,
        )
        files = select(func.count()).select_from(File).outerjoin(Block, Block.id == File.block_id)
        return work.value(files.where(*named))
    blocks = len(_uncondemned(work, dataset.id, body))
    loose = select(func.count()).select_from(File).where(*_loose(dataset.id))
    return blocks + (work.value(loose) if body.whole else 0)
