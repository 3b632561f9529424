"""The tasks of the worker pools: name, queue and period of each.

Celery's configuration, the pools, the simulation and the tests are made from this table;
`dynamo.task_runner` says which use case each task is.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from dynamo.settings import Settings

POOLS: Mapping[str, tuple[str, ...]] = {
    "transfer": ("inject", "copy", "close"),
    "deletion": ("delete",),
    "policy": ("policy",),
    "consistency": ("consistency",),
}
"""Pool → its queues; closes have their own queue, so that they never wait behind a large copy."""

QUEUES = tuple(queue for queues in POOLS.values() for queue in queues)


@dataclass(frozen=True, slots=True)
class Beat:
    """A period, and the name under which the schedule keeps it."""

    name: str
    seconds: Callable[[Settings], float]


@dataclass(frozen=True, slots=True)
class Task:
    """A task: its name in messages, its queue, what it does."""

    name: str
    queue: str
    sentence: str
    beat: Beat | None = None
    """None = only hints start the task, with the ids of its rows."""


_ALL = (
    Task("inject", "inject", "Start the transfers of new injections."),
    Task("transfer", "inject", "Bring a batch of files from their jobs."),
    Task("refresh", "inject", "Update injections that wait for files of earlier ones."),
    Task("copy", "copy", "Bring a batch of files from another site."),
    Task("close", "close", "Close the blocks of finished datasets."),
    Task("condemn", "delete", "Condemn the replicas that deletion requests name."),
    Task("delete", "delete", "Delete a batch of files."),
    Task("plan", "policy", "Plan copy requests."),
    Task("cycle", "policy", "Run cycles that wait."),
    Task(
        "sweep",
        "policy",
        "Send lost work again.",
        Beat("find lost work", lambda settings: settings.work.sweep_seconds),
    ),
    Task(
        "close-idle",
        "policy",
        "Close blocks that took no file for long.",
        Beat("close idle blocks", lambda settings: max(60, settings.work.sweep_seconds)),
    ),
    Task(
        "tend",
        "policy",
        "Send probes to the sites, follow their downtimes.",
        Beat(
            "try the sites, follow their downtimes",
            lambda settings: settings.site.probe_minutes * 60,
        ),
    ),
    Task(
        "evacuate",
        "policy",
        "Bring the evacuation of dying sites forward.",
        Beat("empty dying sites", lambda settings: settings.site.evacuate_minutes * 60),
    ),
    Task(
        "detox",
        "policy",
        "File a Detox cycle for each partition with a policy.",
        Beat("free what is too full", lambda settings: settings.detox.every_hours * 3600),
    ),
    Task(
        "dealer",
        "policy",
        "File a Dealer cycle for each partition with a quota.",
        Beat("copy where data are wanted", lambda settings: settings.dealer.every_minutes * 60),
    ),
    Task(
        "feed",
        "policy",
        "Read the feeds that are due.",
        Beat("read what others tell", lambda _settings: 60),
    ),
    Task("probe", "consistency", "Probe sites with a small file."),
    Task("scan", "consistency", "Compare the files at sites with the catalogue."),
    Task("remedy", "consistency", "Repair files that are dark, missing or bad."),
    Task(
        "tidy",
        "consistency",
        "File the scans that are due, send lost remedies again.",
        Beat("compare storages with the catalogue", lambda settings: settings.work.sweep_seconds),
    ),
    Task(
        "check",
        "consistency",
        "Check all invariants; a drift of the counters stops deletions.",
        Beat("check all invariants", lambda settings: settings.work.check_seconds),
    ),
    Task(
        "purge",
        "consistency",
        "Forget what ended long ago.",
        Beat("forget what ended long ago", lambda _settings: 3600),
    ),
)

TASKS: Mapping[str, Task] = {task.name: task for task in _ALL}
"""All tasks, by name."""


def periods(settings: Settings) -> Mapping[str, float]:
    """Return the seconds between two runs of each periodic task."""
    return {task.name: task.beat.seconds(settings) for task in _ALL if task.beat is not None}


def check_known(name: str) -> None:
    """Refuse a task that no pool has. Raises LookupError: its message would wait for ever."""
    if name not in TASKS:
        raise LookupError(f"no pool has a task {name!r}")
