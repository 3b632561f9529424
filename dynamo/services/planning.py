"""Planning: copy requests become block replicas to fill and transfers that fill them."""

from collections.abc import Sequence

from sqlalchemy import insert, literal, select, update

from dynamo.db import accounts, placing, sources, transfers
from dynamo.db.placing import Home
from dynamo.db.tables import (
    Block,
    BlockReplica,
    File,
    Request,
    Transfer,
)
from dynamo.db.types import Utc
from dynamo.db.work import Work, retried
from dynamo.inventory.states import TransferKind
from dynamo.operations.hints import batches
from dynamo.operations.life import State
from dynamo.services import fulfilment, gathering, wishes
from dynamo.services.tools import Tools
from dynamo.services.wishes import Target, Wish, wanted

BLOCKS_AT_ONCE = 20
"""Blocks planned in one transaction: their files are written by one statement."""


def plan(use: Tools, request_ids: Sequence[int]) -> None:
    """Bring copy requests forward.

    Whatever can be copied now is, whatever is gathered is cleaned up behind it.

    It compares what is wanted with what is there, so it may run at any time and as often as
    anybody likes.
    """
    for request_id in request_ids:
        wish = wishes.read(use, request_id)
        if wish is None:
            continue
        full: list[str] = []
        for site in wish.sites:
            for batch in batches(_missing(use, wish, site), BLOCKS_AT_ONCE):
                if not _plan_blocks(use, wish, site, batch):
                    full.append(site.name)
                    break
        if wish.consolidate:
            gathering.clean_up(use, wish)
        fulfilment.judge(use, wish, full)


@retried
def _missing(use: Tools, wish: Wish, site: Target) -> list[int]:
    with use.begin.reading() as work:
        here = select(BlockReplica.id).where(
            BlockReplica.block_id == Block.id, BlockReplica.site_id == site.id
        )
        return work.scalars(
            select(Block.id).where(*wanted(wish), ~here.exists()).order_by(Block.id)
        )


@retried
def _plan_blocks(use: Tools, wish: Wish, site: Target, block_ids: Sequence[int]) -> bool:
    """Start the copies of some blocks to a site; False = the site has no room for them."""
    with use.begin() as work:
        blocks = placing.lock_blocks(work, block_ids)
        taken = select(BlockReplica.block_id).where(
            BlockReplica.block_id.in_(block_ids), BlockReplica.site_id == site.id
        )
        there = set(work.scalars(taken))
        chosen = sources.best(
            work, [b for b in blocks if b not in there and blocks[b].condemned_by is None]
        )
        if not chosen:
            return True
        size = sum(blocks[block].bytes for block in chosen)
        if not accounts.book(work, (site.id, wish.dataset.partition_id), size):
            return False
        home = Home(
            wish.dataset.id, site.id, wish.dataset.partition_id, wish.group_id, wish.request_id
        )
        placing.place_all(work, home, sorted(chosen))
        placing.pin(work, {replica: blocks[block].n_files for block, replica in chosen.items()})
        transfers.clear_ended(work, site.id, chosen)
        _send(work, wish, site, chosen)
        work.changed(
            update(Request)
            .where(Request.id == wish.request_id)
            .values(
                n_files=Request.n_files + sum(blocks[b].n_files for b in chosen),
                bytes=Request.bytes + size,
            )
        )
        ids = work.scalars(
            select(Transfer.id)
            .join(BlockReplica, BlockReplica.id == Transfer.replica_id)
            .where(BlockReplica.block_id.in_(chosen), BlockReplica.site_id == site.id)
        )
        work.hint(*transfers.described(work, ids, use.settings.work.batch))
        return True


def _send(work: Work, wish: Wish, site: Target, chosen: dict[int, int]) -> None:
    """Write one transfer per file of the blocks, all in one statement."""
    destination = BlockReplica.__table__.alias("destination")
    source = BlockReplica.__table__.alias("source")
    now = literal(work.now, Utc())
    rows = (
        select(
            literal(TransferKind.COPY.value),
            literal(wish.request_id),
            File.id,
            literal(site.id),
            destination.c.id,
            source.c.id,
            literal(True),  # noqa: FBT003 - a column's value
            literal(State.QUEUED.value),
            literal(0),
            literal(0),
            now,
            now,
            literal(0),
            now,
            now,
        )
        .join(
            destination,
            (destination.c.block_id == File.block_id) & (destination.c.site_id == site.id),
        )
        .join(source, source.c.block_id == File.block_id)
        .where(
            File.block_id.in_(chosen), File.condemned_by.is_(None), source.c.id.in_(chosen.values())
        )
    )
    columns = (
        "kind request_id file_id site_id replica_id source_id confirmed state attempts lost "
        "not_before hinted lease_no created updated"
    )
    work.changed(insert(Transfer).from_select(columns.split(), rows))
