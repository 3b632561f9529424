"""Completing: where a site has only a part of a block that somebody wants there, the rest is sent.

Such parts were stated of official data, or are left of copies that were given up. Their whole
blocks count against the quota already.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from sqlalchemy import exists, select

from dynamo.db import bulk, placing, sources, transfers
from dynamo.db.streams import UNSENT
from dynamo.db.tables import Block, BlockReplica, File, ReplicaFile, Site, Transfer
from dynamo.db.work import Work, retried
from dynamo.inventory.states import ReplicaState, SiteStatus, TransferKind
from dynamo.operations.hints import batches
from dynamo.operations.life import State
from dynamo.services import traffic
from dynamo.services.excusing import Excuse
from dynamo.services.tools import Tools
from dynamo.services.wishes import Wish, at_its_sites

PARTS_AT_ONCE = 20
_ENDED = (State.FAILED, State.CANCELLED)


def complete(use: Tools, wish: Wish) -> Excuse | None:
    """Send for what parts at the sites of a request lack; say why not, where it cannot be had."""
    lost = sum(_complete(use, wish, batch) for batch in batches(_parts(use, wish), PARTS_AT_ONCE))
    return Excuse("no-source", f"{lost} files can be read nowhere else now") if lost else None


@retried
def _parts(use: Tools, wish: Wish) -> Sequence[int]:
    with use.begin.reading() as work:
        return work.scalars(
            select(BlockReplica.id)
            .join(Block, Block.id == BlockReplica.block_id)
            .join(Site, Site.id == BlockReplica.site_id)
            .where(
                *at_its_sites(wish),
                *_PART,
                Site.status == SiteStatus.READY,
                exists().where(File.block_id == BlockReplica.block_id, *_lacks(wish)),
            )
            .order_by(BlockReplica.id)
        )


@retried
def _complete(use: Tools, wish: Wish, replica_ids: Sequence[int]) -> int:
    """Send for what some parts lack; return how many files nobody has."""
    with use.begin() as work:
        here = select(BlockReplica.id, BlockReplica.block_id, BlockReplica.site_id)
        wanted_ones = here.where(BlockReplica.id.in_(replica_ids), *_PART)
        blocks = {row.block_id for row in work.rows(wanted_ones)}
        placing.lock_blocks(work, blocks)
        n = sum(_fill_up(work, wish, part) for part in work.rows(wanted_ones))
        traffic.refill(work, use, [wish.request_id])
        return n


def _fill_up(work: Work, wish: Wish, part: Any) -> int:
    files = work.rows(
        select(File.id, File.lfn)
        .join(BlockReplica, BlockReplica.block_id == File.block_id)
        .where(BlockReplica.id == part.id, *_lacks(wish))
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
            "request_id": wish.request_id,
            "site_id": part.site_id,
            "replica_id": part.id,
            "confirmed": True,
            "state": State.QUEUED,
            "not_before": work.now,
            "hinted": UNSENT,
            **transfers.untried(work),
        }
        bulk.insert(work, Transfer, shared, ("file_id", "source_id"), list(readable.items()))
    return len(found) - len(readable)


_PART = (BlockReplica.state == ReplicaState.VALID, BlockReplica.complete.is_(False))


def _lacks(wish: Wish) -> tuple[Any, ...]:
    """Return the conditions for files that a part lacks and nobody is about to bring.

    What this request has given up stays so; another may try again.
    """
    listed = (ReplicaFile.replica_id == BlockReplica.id, ReplicaFile.file_id == File.id)
    other = Transfer.request_id != wish.request_id
    again = (Transfer.kind == TransferKind.COPY) & Transfer.state.in_(_ENDED) & other
    known = (Transfer.file_id == File.id, Transfer.site_id == BlockReplica.site_id, ~again)
    return (
        File.condemned_by.is_(None),
        ~exists().where(*listed).correlate_except(ReplicaFile),
        ~exists().where(*known).correlate_except(Transfer),
    )
