"""How often things happen in a simulation, and why some happen less often than in a real system."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from dynamo.settings import Settings
from dynamo.tasks import periods

HOUR, DAY = 3600.0, 86400.0

SLOWER = {
    "close-idle": HOUR,  # blocks are idle after hours: looking each half minute is for nothing
    "purge": DAY,  # what is forgotten ended weeks ago, and nobody asks for it
}
"""Periodic tasks with a period of their own, in seconds."""

LEFT_OUT = {
    "feed",  # sites are described by the scenario, not by feeds
    "tidy",  # what lies at imagined storages is what was written: there is nothing to scan
    "check",  # the figures of each evening look at all invariants
}
"""Periodic tasks that are not run."""


def simulated_periods(settings: Settings) -> Mapping[str, timedelta]:
    """Return the period of each task that beats in a simulation."""
    real = periods(settings)
    return {
        task: timedelta(seconds=SLOWER.get(task, seconds))
        for task, seconds in real.items()
        if task not in LEFT_OUT
    }


def paced(settings: Settings, folder: Path) -> Settings:
    """Look for lost work rarely, as none is lost here, and probe and deal a little less often."""
    work = settings.work.model_copy(
        update={"hint_seconds": 4 * HOUR, "sweep_seconds": HOUR / 2, "batch": 50}
    )
    site = settings.site.model_copy(
        update={
            "probe_minutes": max(120.0, settings.site.probe_minutes),
            "evacuate_minutes": max(60.0, settings.site.evacuate_minutes),
        }
    )
    dealer = settings.dealer.model_copy(
        update={"every_minutes": max(240.0, settings.dealer.every_minutes)}
    )
    update = {"data": folder, "work": work, "site": site, "dealer": dealer}
    return settings.model_copy(update=update)
