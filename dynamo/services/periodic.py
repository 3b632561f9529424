"""Periodic tasks: each runs once in its period, however many messages arrive."""

import secrets
from collections.abc import Callable
from datetime import timedelta

from dynamo.db.engine.unit_of_work import Work, retried
from dynamo.db.work import periodic as pulse_rows
from dynamo.points import Point, reached
from dynamo.services.context import Context
from dynamo.settings import Settings
from dynamo.tasks import periods


def once(ctx: Context, task: str, act: Callable[[Context], object]) -> bool:
    """Run a periodic task unless it started within half its period; return whether it ran.

    So two beats, or messages that piled up while no worker ran, have the effect of one.
    """
    if not _take(ctx, task):
        return False
    reached(Point.BEAT_TAKEN)
    act(ctx)
    return True


@retried
def _take(ctx: Context, task: str) -> bool:
    with ctx.begin() as work:
        return take(work, ctx.settings, task)


def take(work: Work, settings: Settings, task: str) -> bool:
    """Claim a periodic task for half its period; return False if it started within that time."""
    hold = timedelta(seconds=periods(settings)[task] / 2)
    return pulse_rows.take(work, task, secrets.token_hex(8), hold)
