"""Periodic work: due scans, lost remedies, files without any copy."""

from datetime import timedelta

from dynamo.db.consistency import incidents, scans
from dynamo.db.engine.unit_of_work import retried
from dynamo.db.tables import Remedy
from dynamo.db.work import claims
from dynamo.operations.hints import hints
from dynamo.services.consistency import repair
from dynamo.services.consistency import scans as scan_service
from dynamo.services.context import Context

AT_ONCE = 10_000
"""Limit of remedies per run; the next run continues."""


def tidy(ctx: Context) -> None:
    """File due scans, send hints for lost remedies, and declare hopeless files lost."""
    _remedies(ctx)
    _losses(ctx)
    scan_service.due(ctx)


@retried
def _remedies(ctx: Context) -> None:
    numbers = ctx.settings.work
    with ctx.begin() as work:
        claims.reclaim(work, Remedy, ctx.settings.lease.lost, ctx.patience.daily)
        claims.wake(work, Remedy)
        patience = timedelta(seconds=numbers.hint_seconds)
        due = claims.unhinted(work, Remedy, patience, AT_ONCE)
        work.hint(*hints("remedy", due, numbers.batch, "repair {n} files that were due"))
        scan_service.sweep(work, ctx)
        scans.forget(work, work.now - timedelta(days=numbers.keep_days))


@retried
def _losses(ctx: Context) -> None:
    with ctx.begin() as work:
        repair.give_up_hopeless(work)
        incidents.settle(work)
