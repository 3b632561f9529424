"""Accesses: reads per dataset, site and day, from the popularity services of a collaboration."""

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
    """Record daily counts; earlier reports for the same day are replaced."""
    with ctx.begin() as work:
        return take(work, items)


def take(work: Work, items: Sequence[schemas.AccessReport]) -> int:
    """Record daily counts in a unit of work. Raises Invalid, NotFound without changes."""
    report_validation.check_once(
        items, lambda item: (item.dataset, item.site, item.date), "the same dataset, site and day"
    )
    # the day may have begun in the reporter's time zone
    latest = (work.now + timedelta(days=1)).date()
    report_validation.check_each(
        items, lambda item: item.date <= latest, "date", "is in the future"
    )
    datasets = keys.datasets(work, (item.dataset for item in items))
    report_validation.check_known([item.dataset for item in items], datasets, "dataset")
    sites = keys.sites(work, (item.site for item in items))
    report_validation.check_known([item.site for item in items], sites, "site")
    rows = [
        {
            "dataset_id": datasets[item.dataset],
            "site_id": sites[item.site],
            "day": item.date,
            "accesses": item.accesses,
            "cpu_seconds": item.cpu_seconds,
        }
        for item in items
    ]
    popularity_rows.report_accesses(work, rows)
    return len(rows)
