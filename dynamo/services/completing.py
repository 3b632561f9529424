"""Completing: where a site has only a part of a block that somebody wants there, the rest is sent.

Such parts were stated of official data, or are left of copies that were given up. Their whole
blocks count against the quota already.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import and_, exists, or_, select
from sqlalchemy.orm import aliased

from dynamo.db import bulk, evacuation, placing, requests, sources, transfers
from dynamo.db.streams import UNSENT
from dynamo.db.tables import Block, BlockReplica, File, ReplicaFile, Request, Site, Transfer
from dynamo.db.work import Work, retried
from dynamo.inventory.states import ENDED, ReplicaState, SiteStatus, TransferKind
from dynamo.operations.hints import batches
from dynamo.operations.life import State
from dynamo.services import traffic
from dynamo.services.excusing import Excuse
from dynamo.services.tools import Tools
from dynamo.services.wishes import Wish, at_its_sites

PARTS_AT_ONCE = 20
_ENDED = (Transfer.kind == TransferKind.COPY) & Transfer.state.in_((State.FAILED, State.CANCELLED))


def complete(use: Tools, wish: Wish) -> Excuse | None:
    """Send for what parts at the sites of a request lack; say why not, where it cannot be had."""
    parts, key = batches(_parts(use, wish), PARTS_AT_ONCE), wish.request_id
    lost = sum(_complete(use, key, batch).nowhere for batch in parts)
    return Excuse("no-source", f"{lost} files can be read nowhere else now") if lost else None


def abandoned(work: Work, site_id: int, dying: Collection[int], most: int) -> list[int]:
    """Return parts at sites that stay whose blocks a dying site takes down with it, one of each.

    Nobody brings what they lack, though it can be read.
    """
    here = aliased(BlockReplica)
    readable = sources.read_elsewhere(work, BlockReplica.site_id)
    lacked = (File.block_id == BlockReplica.block_id, *_lacks(_ENDED), readable)
    rows = work.rows(
        select(BlockReplica.id, BlockReplica.block_id)
        .join(Block, Block.id == BlockReplica.block_id)
        .join(here, here.block_id == BlockReplica.block_id)
        .where(
            here.site_id == site_id,
            here.state == ReplicaState.VALID,
            Block.closed.is_(True),
            Block.condemned_by.is_(None),
            *evacuation.stalled(dying),
            ~evacuation.safe(dying),
            ~evacuation.moving(dying),
            exists().where(*lacked),
        )
        .order_by(BlockReplica.n_files, BlockReplica.id.desc())
        .limit(most)
    )
    # of several parts of a block the fullest comes last
    return sorted({row.block_id: row.id for row in rows}.values())


def bring(use: Tools, request_id: int, replica_ids: Sequence[int]) -> None:
    """Send for what parts lack, whoever gave it up before."""
    for batch in batches(replica_ids, PARTS_AT_ONCE):
        _bring(use, request_id, batch)


@retried
def _bring(use: Tools, request_id: int, replica_ids: Sequence[int]) -> None:
    with use.begin() as work:
        send(work, use, request_id, replica_ids)


def send(work: Work, use: Tools, request_id: int, replica_ids: Sequence[int]) -> None:
    """Send for what parts lack within a unit of work, and count it to the request."""
    found = _filled(work, use, _Errand(request_id, _ENDED), replica_ids)
    requests.more(work, request_id, found.sent, found.bytes)


@retried
def _parts(use: Tools, wish: Wish) -> Sequence[int]:
    with use.begin.reading() as work:
        again = _not_tried_by(work, use, wish.request_id)
        return work.scalars(
            select(BlockReplica.id)
            .join(Block, Block.id == BlockReplica.block_id)
            .join(Site, Site.id == BlockReplica.site_id)
            .where(
                *at_its_sites(wish),
                *_PART,
                Site.status == SiteStatus.READY,
                exists().where(File.block_id == BlockReplica.block_id, *_lacks(again)),
            )
            .order_by(BlockReplica.id)
        )


@retried
def _complete(use: Tools, request_id: int, replica_ids: Sequence[int]) -> "_Filled":
    with use.begin() as work:
        errand = _Errand(request_id, _not_tried_by(work, use, request_id))
        return _filled(work, use, errand, replica_ids)


@dataclass(frozen=True, slots=True)
class _Errand:
    """For which request parts are filled, and which ended copies it tries again."""

    request_id: int
    again: Any


@dataclass(slots=True)
class _Filled:
    """What was sent for, and how many files nobody has."""

    sent: int = 0
    bytes: int = 0
    nowhere: int = 0


def _filled(work: Work, use: Tools, errand: _Errand, replica_ids: Sequence[int]) -> _Filled:
    """Send for what some parts lack."""
    here = select(BlockReplica.id, BlockReplica.block_id, BlockReplica.site_id)
    wanted_ones = here.where(BlockReplica.id.in_(replica_ids), *_PART)
    placing.lock_blocks(work, {row.block_id for row in work.rows(wanted_ones)})
    found = _Filled()
    for part in work.rows(wanted_ones):
        _fill_up(work, errand, part, found)
    traffic.refill(work, use, [errand.request_id])
    return found


def _fill_up(work: Work, errand: _Errand, part: Any, filled: _Filled) -> None:
    files = work.rows(
        select(File.id, File.lfn, File.size)
        .join(BlockReplica, BlockReplica.block_id == File.block_id)
        .where(BlockReplica.id == part.id, *_lacks(errand.again))
        .order_by(File.id)
    )
    whole = sources.best(work, [part.block_id], [part.site_id], to=part.site_id).get(part.block_id)
    found = {
        file.id: whole or sources.of_file(work, part.block_id, file.lfn, part.site_id)
        for file in files
    }
    readable = {file: source for file, source in found.items() if source is not None}
    if readable:
        transfers.forget_ended(work, part.site_id, readable)
        placing.pin(work, Counter(readable.values()))
        shared = {
            "kind": TransferKind.COPY,
            "request_id": errand.request_id,
            "site_id": part.site_id,
            "replica_id": part.id,
            "confirmed": True,
            "state": State.QUEUED,
            "not_before": work.now,
            "hinted": UNSENT,
            **transfers.untried(work),
        }
        bulk.insert(work, Transfer, shared, ("file_id", "source_id"), list(readable.items()))
    filled.sent += len(readable)
    filled.bytes += sum(file.size for file in files if file.id in readable)
    filled.nowhere += len(found) - len(readable)


_PART = (BlockReplica.state == ReplicaState.VALID, BlockReplica.complete.is_(False))


def _lacks(again: Any) -> tuple[Any, ...]:
    """Return the conditions for files that a part lacks and nobody is about to bring.

    `again` says which copies that have ended may be tried again.
    """
    listed = (ReplicaFile.replica_id == BlockReplica.id, ReplicaFile.file_id == File.id)
    known = (Transfer.file_id == File.id, Transfer.site_id == BlockReplica.site_id, ~again)
    return (
        File.condemned_by.is_(None),
        ~exists().where(*listed).correlate_except(ReplicaFile),
        ~exists().where(*known).correlate_except(Transfer),
    )


def _not_tried_by(work: Work, use: Tools, request_id: int) -> Any:
    """Tell which ended copies a request tries again: none that it has given up itself.

    Of those that others have given up it leaves alone what an open one ends with, unless it was
    filed later: two requests that try again what the other gave up would never end.
    """
    filed = work.scalar(select(Request.created).where(Request.id == request_id)) or work.now
    long_ago = work.now - timedelta(days=use.settings.retry.give_up_days)
    over = (
        exists()
        .where(Request.id == Transfer.request_id, Request.state.in_(ENDED))
        .correlate(Transfer)
    )
    old = Transfer.updated <= max(filed, long_ago)
    free = or_(Transfer.state == State.CANCELLED, old, over)
    return and_(_ENDED, Transfer.request_id != request_id, free)
