"""Accesses: how often data are read, as the popularity services of a collaboration report it."""

from collections.abc import Sequence
from datetime import timedelta

from dynamo.db.catalogue import keys
from dynamo.db.engine.unit_of_work import Work, retried
from dynamo.db.policies import popularity as popularity_rows
from dynamo.inventory import schemas
from dynamo.services.context import Context
from dynamo.services.popularity import validation as report_validation


@retried
def report(ctx: Context, items: Sequence[schemas.AccessReport]) -> int:
    """Take daily counts; what was reported before for the same day is replaced."""
    with ctx.begin() as work:
        return take(work, items)


def take(work: Work, items: Sequence[schemas.AccessReport]) -> int:
    """Take daily counts in a unit of work. Raises Invalid or NotFound, and has changed nothing."""
    report_validation.check_once(
        items, lambda one: (one.dataset, one.site, one.date), "the same dataset, site and day"
    )
    # a day may have begun already where the reporter is
    latest = (work.now + timedelta(days=1)).date()
    report_validation.check_each(items, lambda one: one.date <= latest, "date", "has not come yet")
    datasets = keys.datasets(work, (one.dataset for one in items))
    report_validation.check_known([one.dataset for one in items], datasets, "dataset")
    sites = keys.sites(work, (one.site for one in items))
    report_validation.check_known([one.site for one in items], sites, "site")
    rows = [
        {
            "dataset_id": datasets[one.dataset],
            "site_id": sites[one.site],
            "day": one.date,
            "accesses": one.accesses,
            "cpu_seconds": one.cpu_seconds,
        }
        for one in items
    ]
    popularity_rows.report_accesses(work, rows)
    return len(rows)
