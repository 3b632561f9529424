"""Fulfilment: how far a copy request is, and what it waits for."""

from sqlalchemy import NotNullable, Select, and_, case, func, select

from dynamo.db import requests
from dynamo.db.catalogue import good_copies
from dynamo.db.catalogue import names as catalogue_names
from dynamo.db.engine.expressions import Conditions, total
from dynamo.db.engine.unit_of_work import Work, retried
from dynamo.db.sites import switches
from dynamo.db.tables import (
    Block,
    BlockReplica,
    Deletion,
    File,
    Site,
    Transfer,
)
from dynamo.db.transfers.streams import UNSENT
from dynamo.inventory.request_bodies import SystemCopyBody
from dynamo.inventory.states import ENDED, ReplicaState, RequestState
from dynamo.operations.lifecycle import OPEN, State
from dynamo.reasons import Reason
from dynamo.services.context import Context
from dynamo.services.copies.conditions import at_its_sites, filling, of_request, wanted
from dynamo.services.copies.consolidation import leftovers
from dynamo.services.copies.request import CopyRequest
from dynamo.services.copies.status import Explanation

_STILL_FILLED = Explanation(
    Reason.WAITING, "what is still being filled is copied when it is closed"
)


@retried
def judge(
    ctx: Context, request: CopyRequest, explanation: Explanation | None, stays: Explanation | None
) -> None:
    """Say how far the request is.

    It has ended when nothing more can come and all is where it should be. `stays` says why old
    copies are not deleted behind it.
    """
    with ctx.begin() as work:
        dataset = catalogue_names.dataset(work, request.dataset.name)
        if dataset is None:
            return  # removed this moment: the next look at the request says so
        # asked before blocks are counted: one that closes between would be missed by both; blocks
        # named one by one are all there will be, a dataset may still grow while it is open
        growing = request.blocks is None and dataset.is_open
        more = growing or bool(work.scalar(_unfinished(request)))
        n_blocks, waiting = _count(work, request)
        scattered = leaving = 0
        if request.consolidate:
            scattered = len(work.rows(leftovers(work, request, ctx.settings.dealer)))
            leaving = work.value(_leaving(request))
        if not (more or n_blocks or leaving):
            gone = "nothing is left of what was asked for"
            requests.end(work, request.id, RequestState.FAILED, Reason.NOT_FOUND, gone)
            return
        if not (more or waiting or scattered or leaving):
            requests.end(work, request.id, RequestState.DONE)
            return
        if explanation is None and not (more or scattered or leaving):
            given_up = _given_up(work, request)
            if given_up is not None:
                requests.end(work, request.id, RequestState.FAILED, *given_up)
                return
        still_filled = _STILL_FILLED if more else None
        why = _why(
            work, request, explanation if waiting else still_filled, stays if scattered else None
        )
        state = RequestState.HELD if why is not None and why.holds else RequestState.RUNNING
        requests.move(
            work,
            request.id,
            state,
            reason=None if why is None else why.reason,
            detail=None if why is None else why.detail,
            not_before=work.now + ctx.again,
        )


@retried
def follow(ctx: Context, request_id: int) -> None:
    """Say how far a copy is that the system has filed itself."""
    with ctx.begin() as work:
        request = requests.locked(work, request_id, SystemCopyBody)
        if request is None or request.state in ENDED:
            return
        mine = (Transfer.request_id == request_id, Transfer.state.in_(OPEN))
        if work.scalar(select(func.count()).select_from(Transfer).where(*mine)):
            requests.change(work, request_id, not_before=work.now + ctx.again)
        else:
            state = RequestState.FAILED if request.n_failed else RequestState.DONE
            requests.end(work, request_id, state)


def _count(work: Work, request: CopyRequest) -> tuple[int, int]:
    """Bring the progress in line with what is there.

    Return how many blocks there are to copy, and how many copies of them lack.
    """
    sums = (func.count(), func.sum(Block.n_files), func.sum(Block.bytes))
    n_blocks, n_files, size = (
        int(one or 0) for one in work.only(select(*sums).where(*wanted(request)))
    )
    here = _here(request).subquery()
    n = request.n_copies
    complete = case((here.c.complete > n, n), else_=here.c.complete)
    done = (func.sum(complete), func.sum(here.c.n_files), func.sum(here.c.bytes))
    n_complete, files_done, bytes_done = (int(one or 0) for one in work.only(select(*done)))
    requests.change(
        work,
        request.id,
        n_files=n_files * n,
        bytes=size * n,
        n_done=min(files_done, n_files * n),
        bytes_done=min(bytes_done, size * n),
    )
    return n_blocks, n_blocks * n - n_complete


def _here(request: CopyRequest) -> Select[int, int, int]:
    """Select by block what of it is at the sites that are meant, and whole in the right hands."""
    whole = case((and_(good_copies.of_block(), *_owned(request)), 1), else_=0)
    return (
        select(
            total(whole).label("complete"),
            total(BlockReplica.n_files).label("n_files"),
            total(BlockReplica.bytes).label("bytes"),
        )
        .join(Block, Block.id == BlockReplica.block_id)
        .where(*at_its_sites(request), BlockReplica.state == ReplicaState.VALID)
        .group_by(BlockReplica.block_id)
    )


def _owned(request: CopyRequest) -> Conditions:
    """Return the condition for replicas of the group that a request names.

    Blocks that are shared out belong to whom they belonged where they lay already.
    """
    if request.group is None or request.group_id is None or request.spread:
        return ()
    return (BlockReplica.group_id == request.group_id,)


def _leaving(request: CopyRequest) -> Select[int]:
    """Count files that are still being deleted behind the request."""
    return select(func.count()).select_from(Deletion).where(Deletion.request_id == request.id)


def _unfinished(request: CopyRequest) -> Select[bool]:
    """Tell whether blocks that are wanted are still open, or files have no block yet."""
    open_block = select(Block.id).where(*of_request(request), Block.closed.is_(False))
    if request.blocks is not None:
        return select(open_block.exists())
    loose = select(File.id).where(
        File.dataset_id == request.dataset.id, File.block_id.is_(None), File.condemned_by.is_(None)
    )
    return select(open_block.exists() | loose.exists())


def _given_up(work: Work, request: CopyRequest) -> tuple[str | None, str | None] | None:
    """Return a copy that was given up, if nobody tries any that are wanted any more; else None."""
    here = Transfer.site_id.in_([site.id for site in request.sites])
    failed = (Transfer.request_id == request.id, Transfer.state == State.FAILED, here)
    found = work.row(select(Transfer.reason, Transfer.error).where(*failed).limit(1))
    if found is None:
        return None
    tried = (
        select(Transfer.id)
        .join(BlockReplica, BlockReplica.id == Transfer.replica_id)
        .join(Block, Block.id == BlockReplica.block_id)
        .where(*at_its_sites(request), Transfer.state.in_(OPEN))
    )
    return found if work.scalar(tried.limit(1)) is None else None


def _why(
    work: Work, request: CopyRequest, explanation: Explanation | None, stays: Explanation | None
) -> Explanation | None:
    """Return what is told of a request: first what a person or a site must change."""
    if explanation is not None and explanation.holds:
        return explanation
    if work.scalar(_going(request)) is not None:
        return explanation
    found = (_held(work, request), _left(work, request), stays, explanation)
    return min((one for one in found if one), key=lambda one: not one.holds, default=None)


def _going(request: CopyRequest) -> Select[int]:
    """Select copies that are on their way."""
    others = (Transfer.state == State.QUEUED) & (Transfer.hinted > UNSENT) & ~_RESTS
    under_way = others | (Transfer.state == State.ACTIVE)
    return select(Transfer.id).where(filling(request), under_way).limit(1)


_RESTS = Transfer.reason.is_not(None) & (Transfer.reason == Reason.SITE_FAILING)


def _held(work: Work, request: CopyRequest) -> Explanation | None:
    """Say why copies do not come."""
    columns = (NotNullable(Transfer.reason), NotNullable(Transfer.error))
    told = select(*columns).where(filling(request)).limit(1)
    waits = work.row(told.where(Transfer.state == State.QUEUED, _RESTS))
    if waits is not None:
        return Explanation(Reason.SITE_FAILING, f"waiting: {waits[1]}"[:1000])
    held = work.row(told.where(Transfer.state.in_((State.HELD, State.FAILED))))
    return None if held is None else Explanation(*held)


def _left(work: Work, request: CopyRequest) -> Explanation | None:
    """Say why what is leaving behind the request does not go, where none of it does."""
    mine = Deletion.request_id == request.id
    here = select(Site.name).join(Deletion, Deletion.site_id == Site.id).where(mine)
    idle = switches.stopped_sites(work)
    names = set(work.scalars(here.distinct()))
    if names and (switches.stopped(work, switches.DELETIONS) or names.issubset(idle)):
        return Explanation(
            Reason.SWITCHED_OFF, "an operator has stopped the deletion of the old copies"
        )
    going = select(Deletion.id).where(mine, Deletion.reason.is_(None))
    if not names or work.scalar(going.limit(1)) is not None:
        return None
    first = (Deletion.state != State.HELD, Deletion.id)
    columns = (NotNullable(Deletion.reason), Deletion.error)
    failing = work.row(select(*columns).where(mine).order_by(*first).limit(1))
    if failing is None:  # gone between the two looks
        return None
    reason, error = failing
    return Explanation(reason, f"an old copy cannot be deleted yet: {error}"[:1000])
