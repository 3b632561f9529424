"""The context of a process: database, storages and settings, for every use case."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random

from dynamo.db.engine.unit_of_work import UnitOfWork
from dynamo.operations.lifecycle import Patience
from dynamo.settings import Settings
from dynamo.storage.registry import Storages
from dynamo.storage.timeouts import Timeouts


def storages(
    settings: Settings, answer_seconds: float | None = None, patience: float | None = None
) -> Storages:
    """Return the storages of the settings, with optional shorter deadlines.

    `answer_seconds`: for a storage's answer; `patience`: to prepare an upload.
    """
    work = settings.work
    limits = Timeouts(
        answer_seconds or work.answer_seconds, work.call_seconds, work.third_party_bytes
    )
    return Storages(settings.injection.area, limits, patience)


@dataclass(frozen=True, slots=True)
class Context:
    """The adapters and settings of one process."""

    begin: UnitOfWork
    settings: Settings
    storages: Storages
    stopwatch: Callable[[], float] = time.monotonic
    """A clock in seconds from any start, to measure transfers."""
    dice: Random = field(default_factory=Random)
    """Random numbers, for the jitter of pauses."""

    @property
    def again(self) -> timedelta:
        """Return the pause before a waiting request is looked at again."""
        return timedelta(seconds=self.settings.work.hint_seconds)

    @property
    def patience(self) -> Patience:
        """Return the pauses of retries."""
        retry = self.settings.retry
        return Patience(
            first=timedelta(seconds=retry.first_seconds),
            longest=timedelta(seconds=retry.longest_seconds),
            attempts=retry.attempts,
            daily=timedelta(seconds=retry.daily_seconds),
        )
