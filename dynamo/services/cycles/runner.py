"""Runs cycles that wait: each looks, decides, carries out, and is forgotten in the end."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from secrets import token_hex

from dynamo.db.cycles import cycles
from dynamo.db.cycles.cycles import HeldCycle
from dynamo.db.engine.unit_of_work import retried
from dynamo.errors import DynamoError
from dynamo.inventory.states import RequestState
from dynamo.logs import logger
from dynamo.points import Point, reached
from dynamo.reasons import Reason
from dynamo.services.context import Context
from dynamo.services.cycles.submission import DEALER, DETOX
from dynamo.services.dealer import cycle as dealer_cycle
from dynamo.services.deletions import condemnation
from dynamo.services.detox import cycle as detox_cycle
from dynamo.services.leases import CycleLost
from dynamo.services.pagination import Item

log = logger("cycles")

RUNS: Mapping[str, Callable[[Context, HeldCycle], Item]] = {
    DETOX: detox_cycle.run,
    DEALER: dealer_cycle.run,
}
"""What a cycle of each kind does; it returns what it is remembered by."""


def run(ctx: Context, cycle_ids: Sequence[int]) -> None:
    """Run cycles that wait: look, decide, and unless it is a dry run, carry it out."""
    for cycle_id in cycle_ids:
        held = _claim(ctx, cycle_id)
        if held is not None:
            reached(Point.CYCLE_CLAIMED)
            _run(ctx, held)
            _forget(ctx)


def _run(ctx: Context, held: HeldCycle) -> None:
    try:
        summary = RUNS[held.kind](ctx, held)
    except CycleLost:
        log.warning("cycle lost its lease", cycle=held.id)
    except DynamoError as failed:
        _end(ctx, held, RequestState.FAILED, reason=failed.reason, error=failed.detail[:1000])
    except Exception:
        _end(
            ctx,
            held,
            RequestState.FAILED,
            reason=Reason.INTERNAL,
            error="a fault of Dynamo; see its log",
        )
        raise
    else:
        _end(ctx, held, RequestState.DONE, summary=summary)


@retried
def _claim(ctx: Context, cycle_id: int) -> HeldCycle | None:
    wanted = ctx.settings
    holds: dict[str, timedelta] = {
        DETOX: timedelta(seconds=wanted.detox.lease_seconds),
        DEALER: timedelta(seconds=wanted.dealer.lease_seconds),
    }
    with ctx.begin() as work:
        return cycles.claim(work, cycle_id, token_hex(12), holds)


@retried
def _end(ctx: Context, held: HeldCycle, state: RequestState, **values: object) -> None:
    with ctx.begin() as work:
        if cycles.end(work, held, state, **values):
            request_id = cycles.looked_at(work, held).request_id
            if request_id is not None and held.kind == DETOX:
                condemnation.judge(work, request_id, ctx.again)


def _forget(ctx: Context) -> None:
    for cycle_id in _old(ctx):
        detox_cycle.saved_at(ctx, cycle_id).unlink(missing_ok=True)
        while not _forget_part(ctx, cycle_id):
            pass


@retried
def _old(ctx: Context) -> list[int]:
    wanted = ctx.settings
    kept: dict[str, int] = {DETOX: wanted.detox.keep_cycles, DEALER: wanted.dealer.keep_cycles}
    with ctx.begin.reading() as work:
        return cycles.old(work, kept)


@retried
def _forget_part(ctx: Context, cycle_id: int) -> bool:
    with ctx.begin() as work:
        return cycles.forget(work, cycle_id)
