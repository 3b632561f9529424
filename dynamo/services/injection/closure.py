"""Closures: a dataset's production is finished.

Open blocks are closed and what is under way is awaited.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import func, select, update

from dynamo.db import requests
from dynamo.db.catalogue import block_filling, replicas
from dynamo.db.catalogue import names as catalogue_names
from dynamo.db.deletions import purge
from dynamo.db.engine.unit_of_work import Work, retried
from dynamo.db.history import Event, record
from dynamo.db.requests import NewRequest
from dynamo.db.tables import Block, BlockReplica, Dataset, File, Request, Transfer
from dynamo.errors import Conflict, Invalid
from dynamo.inventory import names, schemas
from dynamo.inventory.callers import SYSTEM, Caller
from dynamo.inventory.request_bodies import ClosureBody
from dynamo.inventory.states import (
    ENDED,
    DatasetStatus,
    ReplicaState,
    RequestKind,
    RequestState,
    TransferKind,
)
from dynamo.operations.hints import Hint
from dynamo.operations.lifecycle import OPEN, State
from dynamo.points import Point, reached
from dynamo.reasons import Reason, ReasonWord
from dynamo.services import authorization, idempotency, users
from dynamo.services.context import Context
from dynamo.services.idempotency import Filed, Key

_ARRIVALS = (TransferKind.PULL, TransferKind.UPLOAD)


def file(ctx: Context, wanted: schemas.Closure, caller: Caller, key: Key | None = None) -> int:
    """File a closure: from its commit on the dataset takes no more files."""
    if not names.is_dataset(wanted.dataset):
        raise Invalid(f"{wanted.dataset!r} is not a dataset name", Reason.NAME_INVALID)
    write = partial(_file, ctx, wanted, caller)
    return idempotency.file_once(ctx.begin, caller.name, key, write, Filed).request_id


def _file(ctx: Context, wanted: schemas.Closure, caller: Caller, work: Work) -> Filed:
    caller_id = users.ensure(work, caller.name, ctx.settings)
    dataset = authorization.dataset_of(work, wanted.dataset, caller)
    if dataset.status == DatasetStatus.DELETED:
        raise Conflict(f"{wanted.dataset} is being deleted", Reason.BEING_DELETED)
    # first of all: who injects holds the dataset and waits for the user whom a request names
    work.changed(
        update(Dataset).where(Dataset.id == dataset.id).values(is_open=False, updated=work.now)
    )
    n_files, size = _sums(work, dataset.id)
    filed = NewRequest(
        caller_id,
        wanted.dataset,
        ClosureBody(),
        n_files=n_files,
        bytes=size,
        not_before=work.now,
    )
    request_id = requests.add(work, filed)
    record(work, [Event("closure-requested", caller.name, wanted.dataset, request_id=request_id)])
    work.hint(Hint("close", (request_id,), f"close {wanted.dataset}, request {request_id}"))
    return Filed(request_id)


def _sums(work: Work, dataset_id: int) -> tuple[int, int]:
    """Return the files and bytes of a dataset."""
    return work.only(select(Dataset.n_files, Dataset.bytes).where(Dataset.id == dataset_id))


def close(ctx: Context, request_ids: Sequence[int]) -> None:
    """Bring closures forward: close what is open, then say what is still awaited."""
    for request_id in request_ids:
        for block_id in _open_blocks(ctx, request_id):
            close_block(ctx, block_id)
            reached(Point.BLOCK_CLOSED)
        _judge(ctx, request_id)


@retried
def close_block(ctx: Context, block_id: int) -> None:
    """Close one block, wherever it stands; the copies that wait for closed blocks are told."""
    with ctx.begin() as work:
        locked = replicas.lock_blocks(work, [block_id])
        if block_id not in locked or locked[block_id].closed:
            return
        block_filling.close(work, [block_id])
        purge.forget_blocks(work, [block_id])
        named = (
            select(Dataset.name, Block.uuid)
            .join(Block, Block.dataset_id == Dataset.id)
            .where(Block.id == block_id)
        )
        names = work.row(named)
        if names is None:
            return
        dataset, uuid = names
        record(work, [Event("block-closed", SYSTEM, dataset, uuid)])
        _tell_copies(work, dataset)


def _tell_copies(work: Work, dataset: str) -> None:
    copies = requests.concerning(work, [dataset], [RequestKind.COPY])[RequestKind.COPY]
    if copies:
        work.hint(
            Hint("plan", tuple(copies), f"plan copies of {dataset}, as it was closed further")
        )


def close_idle(ctx: Context, limit: int = 1000) -> int:
    """Close blocks that took no file for the settled time; return how many."""
    ids = _idle(ctx, limit)
    for block_id in ids:
        close_block(ctx, block_id)
    return len(ids)


@retried
def _idle(ctx: Context, limit: int) -> list[int]:
    with ctx.begin.reading() as work:
        return block_filling.idle_blocks(
            work, work.now - timedelta(hours=ctx.settings.block.idle_hours), limit
        )


@retried
def _open_blocks(ctx: Context, request_id: int) -> list[int]:
    with ctx.begin.reading() as work:
        request = requests.get(work, request_id, ClosureBody)
        if request is None or request.state in ENDED:
            return []
        dataset = catalogue_names.dataset(work, request.dataset)
        return block_filling.open_blocks(work, dataset.id) if dataset is not None else []


@retried
def _judge(ctx: Context, request_id: int) -> None:
    with ctx.begin() as work:
        request = requests.locked(work, request_id, ClosureBody)
        if request is None or request.state in ENDED:
            return
        dataset = catalogue_names.dataset(work, request.dataset)
        if dataset is None:
            requests.end(work, request_id, RequestState.DONE)
            return
        _count(work, request_id, dataset.id)
        again = work.now + ctx.again
        awaited, stuck = _arriving(work, dataset.id)
        if not awaited and not stuck and not _unfinished(work, dataset.id):
            requests.end(work, request_id, RequestState.DONE)
            _tell_copies(work, request.dataset)
        elif stuck and not awaited:
            detail = (
                f"{stuck} files can't arrive; inject them again with a new source, "
                "or drop them by a deletion with lfns"
            )
            _wait(work, request_id, again, RequestState.HELD, _reason(work, dataset.id), detail)
        else:
            _wait(work, request_id, again, RequestState.RUNNING)


def _wait(
    work: Work,
    request_id: int,
    again: datetime,
    state: RequestState,
    reason: ReasonWord | None = None,
    detail: str | None = None,
) -> None:
    requests.move(work, request_id, state, reason=reason, detail=detail, not_before=again)


def _of_dataset(dataset_id: int) -> tuple[Any, ...]:
    return (
        File.dataset_id == dataset_id,
        File.condemned_by.is_(None),
        Transfer.kind.in_(_ARRIVALS),
    )


def _arriving(work: Work, dataset_id: int) -> tuple[int, int]:
    """Return how many files are on their way into the dataset.

    How many can't arrive by themselves.
    """
    counted = dict(
        work.rows(
            select(Transfer.state, func.count())
            .join(File, File.id == Transfer.file_id)
            .where(*_of_dataset(dataset_id), Transfer.state.in_((*OPEN, State.FAILED)))
            .group_by(Transfer.state)
        )
    )
    stuck = counted.get(State.HELD, 0) + counted.get(State.FAILED, 0)
    return counted.get(State.QUEUED, 0) + counted.get(State.ACTIVE, 0), stuck


def _reason(work: Work, dataset_id: int) -> str | None:
    stuck = Transfer.state.in_((State.HELD, State.FAILED))
    first = (
        select(Transfer.reason)
        .join(File, File.id == Transfer.file_id)
        .where(*_of_dataset(dataset_id), stuck)
    )
    reason: str | None = work.scalar(first.limit(1))
    return reason


def _unfinished(work: Work, dataset_id: int) -> int:
    """Count blocks that are open, or complete nowhere."""
    whole = select(BlockReplica.id).where(
        BlockReplica.block_id == Block.id,
        BlockReplica.complete.is_(True),
        BlockReplica.state == ReplicaState.VALID,
    )
    unfinished = (
        Block.dataset_id == dataset_id,
        Block.condemned_by.is_(None),
        Block.closed.is_(False) | ~whole.exists(),
    )
    return work.value(select(func.count()).select_from(Block).where(*unfinished))


def _count(work: Work, request_id: int, dataset_id: int) -> None:
    """Bring the progress that the request shows in line with the dataset."""
    n_files, size = _sums(work, dataset_id)
    awaited, stuck = _arriving(work, dataset_id)
    values = {
        "n_files": n_files,
        "bytes": size,
        "n_done": n_files - awaited - stuck,
        "n_failed": 0,
    }
    work.changed(
        update(Request)
        .where(Request.id == request_id)
        .values(**values, bytes_done=size if not awaited + stuck else Request.bytes_done)
    )
