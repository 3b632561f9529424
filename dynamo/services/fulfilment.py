"""Fulfilment: how far a copy request is, and what it waits for."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import func, select

from dynamo.db import registry, requests
from dynamo.db.tables import (
    Block,
    BlockReplica,
    Deletion,
    File,
    Transfer,
)
from dynamo.db.work import Work, retried
from dynamo.inventory.states import ReplicaState, RequestState
from dynamo.operations.life import State
from dynamo.services.gathering import leftovers
from dynamo.services.tools import Tools
from dynamo.services.wishes import Wish, wanted


@retried
def judge(use: Tools, wish: Wish, full: Sequence[str]) -> None:
    """Say how far the request is.

    It has ended when nothing more can come and all is where it should be.
    """
    with use.begin() as work:
        dataset = registry.dataset(work, wish.dataset.name)
        if dataset is None:
            requests.end(
                work, wish.request_id, RequestState.FAILED, "not-found", "the dataset was removed"
            )
            return
        total = int(work.scalar(select(func.count()).select_from(Block).where(*wanted(wish))))
        complete = int(work.scalar(_complete_at(wish)))
        waiting = total * len(wish.sites) - complete
        scattered = len(work.rows(leftovers(wish))) if wish.consolidate else 0
        leaving = int(work.scalar(_leaving(wish))) if wish.consolidate else 0
        # blocks named one by one are all there will be; a dataset may still grow while it is open
        more = wish.blocks is None and (dataset.is_open or bool(work.scalar(_unfinished(wish))))
        if not (more or waiting or scattered or leaving):
            requests.end(work, wish.request_id, RequestState.DONE)
            return
        reason, detail = _why(work, wish, full, waiting)
        state = RequestState.HELD if reason is not None else RequestState.RUNNING
        requests.put(
            work,
            wish.request_id,
            state=state,
            reason=reason,
            detail=detail,
            not_before=work.now + use.again,
        )


def _complete_at(wish: Wish) -> Any:
    return (
        select(func.count())
        .select_from(BlockReplica)
        .join(Block, Block.id == BlockReplica.block_id)
        .where(
            *wanted(wish),
            BlockReplica.site_id.in_([site.id for site in wish.sites]),
            BlockReplica.complete.is_(True),
            BlockReplica.state == ReplicaState.VALID,
        )
    )


def _leaving(wish: Wish) -> Any:
    """Count files that are still being deleted behind the request."""
    return select(func.count()).select_from(Deletion).where(Deletion.request_id == wish.request_id)


def _unfinished(wish: Wish) -> Any:
    """Tell whether blocks are still open or files have no block yet."""
    open_block = select(Block.id).where(
        Block.dataset_id == wish.dataset.id, Block.closed.is_(False)
    )
    loose = select(File.id).where(
        File.dataset_id == wish.dataset.id, File.block_id.is_(None), File.condemned_by.is_(None)
    )
    return select(open_block.exists() | loose.exists())


def _why(
    work: Work, wish: Wish, full: Sequence[str], waiting: int
) -> tuple[str | None, str | None]:
    if full:
        return "storage-full", f"no room for more at {', '.join(full)}"
    away = [site.name for site in wish.sites if not site.ready]
    if away and waiting:
        return "site-not-ready", f"{', '.join(away)} takes nothing now"
    mine = (
        Transfer.request_id == wish.request_id,
        Transfer.state.in_((State.QUEUED, State.ACTIVE)),
    )
    if not work.scalar(select(func.count()).select_from(Transfer).where(*mine)):
        held = work.row(
            select(Transfer.reason, Transfer.error).where(
                Transfer.request_id == wish.request_id, Transfer.state == State.HELD
            )
        )
        if held is not None:
            return held.reason, held.error
    return None, None
