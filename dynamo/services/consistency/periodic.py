"""Tidying: scans that are due, remedies whose message was lost, files that nobody can bring."""

from datetime import timedelta

from dynamo.db.consistency import incidents, scans
from dynamo.db.engine.unit_of_work import retried
from dynamo.db.tables import Remedy
from dynamo.db.work import claims
from dynamo.operations.hints import hints
from dynamo.services.consistency import repair
from dynamo.services.consistency import scans as scan_service
from dynamo.services.context import Tools

AT_ONCE = 10_000
"""Remedies that are sent at most; the next time goes on."""


def tidy(use: Tools) -> None:
    """Set going what is due and nobody works on."""
    _remedies(use)
    _losses(use)
    scan_service.due(use)


@retried
def _remedies(use: Tools) -> None:
    numbers = use.settings.work
    with use.begin() as work:
        claims.reclaim(work, Remedy, use.settings.lease.lost, use.patience.daily)
        claims.wake(work, Remedy)
        patience = timedelta(seconds=numbers.hint_seconds)
        due = claims.unhinted(work, Remedy, patience, AT_ONCE)
        work.hint(*hints("remedy", due, numbers.batch, "look after {n} files that were due"))
        scan_service.sweep(work, use)
        scans.forget(work, work.now - timedelta(days=numbers.keep_days))


@retried
def _losses(use: Tools) -> None:
    with use.begin() as work:
        repair.give_up_hopeless(work, use)
        incidents.settle(work)
