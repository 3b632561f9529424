"""Beats: what is due every so often is done once, however many messages say so."""

import secrets
from collections.abc import Callable
from datetime import timedelta

from dynamo.db.engine.unit_of_work import retried
from dynamo.db.work import periodic as pulse_rows
from dynamo.points import Point, reached
from dynamo.services.context import Context


def once(ctx: Context, name: str, every: float, act: Callable[[Context], object]) -> bool:
    """Do a periodic task unless it was begun within half its period of `every` seconds.

    Two beats, or the messages that piled up while nobody worked, have the effect of one.
    """
    if not _take(ctx, name, every):
        return False
    reached(Point.BEAT_TAKEN)
    act(ctx)
    return True


@retried
def _take(ctx: Context, name: str, every: float) -> bool:
    with ctx.begin() as work:
        return pulse_rows.take(work, name, secrets.token_hex(8), timedelta(seconds=every / 2))
