"""Evacuating: what lies at dying sites leaves them once it is safe elsewhere.

The Dealer's undertaker copies; here the blocks are closed and what nobody has is taken out of them,
so that they can be copied, parts at sites that stay are completed, and what has a complete copy at
such a site is condemned through the guard. It goes by what is there, so it may run as often as
anybody likes.
"""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import select, update

from dynamo.db.catalogue import replicas
from dynamo.db.deletions import dispatch
from dynamo.db.deletions.scheduling import Order
from dynamo.db.engine.unit_of_work import retried
from dynamo.db.evacuation import evacuation, unreadable
from dynamo.db.evacuation.evacuation import DispensableReplica
from dynamo.db.evacuation.unreadable import Unreadable
from dynamo.db.sites import switches
from dynamo.db.tables import BlockReplica, Request
from dynamo.db.views.sites import SiteRow
from dynamo.inventory.callers import SYSTEM
from dynamo.inventory.request_bodies import SystemCopyBody, SystemDeletionBody
from dynamo.inventory.states import Origin, ReplicaState
from dynamo.logs import logger
from dynamo.operations.hints import batches
from dynamo.points import Point, reached
from dynamo.services import system_requests
from dynamo.services.consistency import repair
from dynamo.services.consistency.repair import Bad
from dynamo.services.context import Context
from dynamo.services.deletions import condemnation, guard
from dynamo.services.evacuation import abandonment, block_split, declare_lost
from dynamo.services.injection import closure
from dynamo.services.replication import completion
from dynamo.services.replication.scheduler import DEALER

log = logger("evacuation")

BLOCKS_AT_ONCE = 20
MOST = 10_000
"""Blocks of a site that one round closes or condemns at most; the next goes on."""


def evacuate(ctx: Context) -> None:
    """Bring the evacuation of all dying sites forward."""
    sites = _dying(ctx)
    for site in sites:
        for block_id in _open_blocks(ctx, site.id):
            closure.close_block(ctx, block_id)
        block_split.part(ctx, site, MOST)
        _complete_parts(ctx, site)
        going = _dispensable(ctx, site.id)
        if going:
            request_id = _request(ctx, site.name)
            reached(Point.EVACUATION_FILED)
            for batch in batches(going, BLOCKS_AT_ONCE):
                _condemn(ctx, site.id, request_id, batch)
                reached(Point.EVACUATION_CONDEMNED)
            _judge(ctx, request_id)
        _mend(ctx, site)
    for site in sites:  # storages are asked here, and some are silent: all else comes first
        abandonment.forsake(ctx, site.name)


def _complete_parts(ctx: Context, site: SiteRow) -> None:
    """Bring the rest where a site that stays has a part: no cycle sends a block there again."""
    parts = _parts(ctx, site.id)
    if parts:
        completion.bring(ctx, _copy(ctx, site.name), parts)


@retried
def _parts(ctx: Context, site_id: int) -> list[int]:
    with ctx.begin.reading() as work:
        if switches.stopped(work, DEALER):
            return []
        dying = evacuation.dying_ids(work, ctx.settings.dealer.leaving)
        return completion.abandoned(work, site_id, dying, MOST)


@retried
def _copy(ctx: Context, site: str) -> int:
    """File the copy under which the rest of parts comes, which is watched like those of cycles."""
    with ctx.begin() as work:
        return system_requests.file(work, ctx, Origin.EVACUATION, SystemCopyBody(site=site))


def _mend(ctx: Context, site: SiteRow) -> None:
    """Take files out of a dying site that could not be read there for long and lie nowhere else.

    They are looked for once more. A site that is not mounted lacks all its files: where too many
    seem bad, some of them only since this moment, nothing is believed.
    """
    numbers = ctx.settings.consistency
    bad, n_bad, n_files = _bad(ctx, site, timedelta(hours=numbers.apart_hours))
    most = max(numbers.few, int(numbers.max_share * n_files))
    if n_bad > min(most, numbers.max_files):
        log.warning("too many files are bad at a dying site", site=site.name, files=n_bad)
        return
    seen = declare_lost.find_losses(ctx, site, [one.file for one in bad], fails=False)
    declare_lost.save(ctx, site, seen.back)
    for one in bad:
        if one.file in seen.gone:
            _mend_one(ctx, site, one)


@retried
def _bad(ctx: Context, site: SiteRow, patience: timedelta) -> tuple[Sequence[Unreadable], int, int]:
    with ctx.begin.reading() as work:
        found = unreadable.known(work, site)
        old = [one for one in found if one.awaited and one.incident.at <= work.now - patience]
        return old, len(found), evacuation.n_files(work, site.id)


@retried
def _mend_one(ctx: Context, site: SiteRow, bad: Unreadable) -> None:
    with ctx.begin() as work:
        replicas.lock_blocks(work, [bad.file.block_id])
        told = bad.incident
        file = repair.still_there(work, site.id, told.lfn)
        if file is not None:
            repair.mend(work, ctx, Bad(file, site.id, site.name, told.kind, told.detail or ""))
            repair.give_up_hopeless(work)


@retried
def _dying(ctx: Context) -> list[SiteRow]:
    with ctx.begin.reading() as work:
        return evacuation.dying(work, ctx.settings.dealer.leaving)


@retried
def _open_blocks(ctx: Context, site_id: int) -> list[int]:
    with ctx.begin.reading() as work:
        return evacuation.open_blocks(work, site_id, MOST)


@retried
def _dispensable(ctx: Context, site_id: int) -> list[DispensableReplica]:
    with ctx.begin.reading() as work:
        if switches.stopped(work, switches.DELETIONS):
            return []
        dying = evacuation.dying_ids(work, ctx.settings.dealer.leaving)
        return evacuation.dispensable(work, site_id, dying, MOST)


@retried
def _request(ctx: Context, site: str) -> int:
    """File the deletion under which all this goes, so that it is watched and rescued like any."""
    with ctx.begin() as work:
        return system_requests.file(work, ctx, Origin.EVACUATION, SystemDeletionBody(site=site))


@retried
def _condemn(
    ctx: Context, site_id: int, request_id: int, some: Sequence[DispensableReplica]
) -> None:
    """Condemn replicas under the locks of their blocks; an operator may have saved the site."""
    with ctx.begin() as work:
        leaving = ctx.settings.dealer.leaving
        if site_id not in evacuation.dying_ids(work, leaving):
            return
        replicas.lock_blocks(work, [row.block_id for row in some])
        grace = timedelta(hours=ctx.settings.deletion.grace_hours)
        most = ctx.settings.deletion.site_bytes
        order = Order(request_id, Origin.EVACUATION, SYSTEM, grace, most=most, leaving=leaving)
        still = (BlockReplica.id.in_([row.id for row in some]), BlockReplica.site_id == site_id)
        valid = select(BlockReplica.id, BlockReplica.bytes).where(
            *still, BlockReplica.state == ReplicaState.VALID
        )
        sizes = dict(work.rows(valid))
        result = guard.condemn(work, list(sizes), order)
        refused = result.refused.all
        values = {
            "n_files": Request.n_files + result.n_files,
            "bytes": Request.bytes + sum(n for key, n in sizes.items() if key not in refused),
        }
        work.changed(update(Request).where(Request.id == request_id).values(values))
        dispatch.announce(work, request_id, ctx.settings.work.batch)


@retried
def _judge(ctx: Context, request_id: int) -> None:
    with ctx.begin() as work:
        condemnation.judge(work, request_id, ctx.again)
