"""Demands: jobs that wait for data, as batch systems report them."""

from collections.abc import Sequence
from datetime import timedelta

from dynamo.db.catalogue import keys
from dynamo.db.engine.unit_of_work import Work, retried
from dynamo.db.policies import popularity as popularity_rows
from dynamo.inventory import schemas
from dynamo.inventory.callers import Caller
from dynamo.services.context import Context
from dynamo.services.popularity import validation as report_validation

_SKEW = timedelta(minutes=10)
"""How far the clock of a batch system may be ahead."""


@retried
def report(ctx: Context, items: Sequence[schemas.DemandReport], caller: Caller) -> int:
    """Record waiting jobs; the caller's earlier reports for the same time are replaced."""
    with ctx.begin() as work:
        return take(work, items, caller)


def take(work: Work, items: Sequence[schemas.DemandReport], caller: Caller) -> int:
    """Record waiting jobs in a unit of work. Raises Invalid, NotFound without changes."""
    report_validation.check_once(
        items, lambda item: (item.dataset, item.since), "the same dataset and time"
    )
    first, last = work.now - popularity_rows.DEMANDS_KEPT, work.now + _SKEW
    report_validation.check_each(
        items, lambda item: first <= item.since <= last, "since", "is not within the last year"
    )
    datasets = keys.datasets(work, (item.dataset for item in items))
    report_validation.check_known([item.dataset for item in items], datasets, "dataset")
    rows = [
        {
            "dataset_id": datasets[item.dataset],
            "source": caller.name,
            "since": item.since,
            "jobs": item.jobs,
        }
        for item in items
    ]
    popularity_rows.report_demands(work, rows)
    return len(rows)
