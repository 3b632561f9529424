"""Maps each task of the pools to its use case and context."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

from dynamo.services import periodic
from dynamo.services.consistency import periodic as scan_schedule
from dynamo.services.consistency import remedies, scanner
from dynamo.services.context import Context
from dynamo.services.cycles import runner as cycles_runner
from dynamo.services.cycles import submission as cycles_submission
from dynamo.services.dealer import planner
from dynamo.services.deletions import condemnation, reaper
from dynamo.services.evacuation import runner as evacuation_runner
from dynamo.services.injection import closure
from dynamo.services.maintenance import invariants, sweeper
from dynamo.services.requests import views as request_views
from dynamo.services.sites import feeds as site_feeds
from dynamo.services.sites import health as site_health
from dynamo.services.transfers import executor as transfer_executor
from dynamo.tasks import check_known


def _sweep(ctx: Context) -> None:
    if sweeper.sweep(ctx):
        cycles_submission.sweep(ctx)


def _tend(ctx: Context) -> None:
    site_health.tend(ctx)
    site_health.send(ctx)


ON_IDS: Mapping[str, Callable[[Context, Sequence[int]], object]] = {
    "inject": transfer_executor.inject,
    "transfer": transfer_executor.carry,
    "refresh": request_views.refresh,
    "copy": transfer_executor.carry,
    "close": closure.close,
    "condemn": condemnation.run,
    "delete": reaper.run,
    "plan": planner.plan,
    "cycle": cycles_runner.run,
    "probe": site_health.probe,
    "scan": scanner.scan,
    "remedy": remedies.remedy,
}
"""Tasks on the rows whose ids are in the message."""

ONCE: Mapping[str, Callable[[Context], object]] = {
    "close-idle": closure.close_idle,
    "evacuate": evacuation_runner.evacuate,
    "tend": _tend,
    "feed": site_feeds.read,
    "tidy": scan_schedule.tidy,
    "check": invariants.run_check,
    "purge": sweeper.purge,
}
"""Periodic tasks: each runs once in its period, however many messages arrive."""

TAKING: Mapping[str, Callable[[Context], object]] = {
    "sweep": _sweep,
    "detox": cycles_submission.due,
    "dealer": cycles_submission.deal,
}
"""Periodic tasks that check their period themselves.

A worker that died between the beat and the cycles would cost the cycles of a whole period.
"""

QUICK = frozenset({"probe"})
"""Tasks that test whether a storage answers, with a short deadline."""


@dataclass(frozen=True, slots=True)
class TaskRunner:
    """Runs the tasks of one process."""

    ctx: Context
    quick: Context
    """The context with short deadlines for storages."""

    @classmethod
    def of(cls, ctx: Context) -> Self:
        """Return the runner of tasks in this context."""
        storages = ctx.storages.answering_within(ctx.settings.site.probe_seconds)
        return cls(ctx, replace(ctx, storages=storages))

    def run(self, task: str, ids: Sequence[int] = ()) -> None:
        """Run a task; a periodic task takes no ids. Raises LookupError for an unknown task."""
        check_known(task)
        if task in ON_IDS:
            ON_IDS[task](self.quick if task in QUICK else self.ctx, ids)
        elif task in ONCE:
            periodic.once(self.ctx, task, ONCE[task])
        else:
            TAKING[task](self.ctx)
