"""Checks all invariants in one snapshot; a drift of the sums stops deletions."""

from collections.abc import Sequence

from sqlalchemy import update

from dynamo.db.engine.unit_of_work import Work, retried
from dynamo.db.history import Event, record
from dynamo.db.invariants import registry as invariant_registry
from dynamo.db.invariants.limits import InvariantLimits
from dynamo.db.invariants.registry import INVARIANTS, Invariant, Violation
from dynamo.db.invariants.sums import SUMS, Sum
from dynamo.db.sites import switches
from dynamo.db.tables import Switch
from dynamo.logs import logger
from dynamo.services.context import Context

log = logger("checks")

WHO = "check"


def check(ctx: Context) -> list[Violation]:
    """Return all violations and warnings; empty if all invariants hold."""
    return _find(ctx, INVARIANTS)


def recount(ctx: Context) -> list[Violation]:
    """Return the sums that differ from their rows; nothing is changed."""
    return _find(ctx, [invariant for invariant in INVARIANTS if invariant.drift])


def run_check(ctx: Context) -> list[Violation]:
    """Check, log violations, and stop deletions if a sum has drifted.

    Deletions by wrong sums would delete needed data: an operator must look first, and start
    deletions again.
    """
    violations = check(ctx)
    for violation in violations:
        tell = log.warning if violation.is_warning else log.error
        tell("invariant", name=violation.name, subject=violation.subject, holds=violation.sentence)
    drifted = sorted({violation.name for violation in violations if violation.drift})
    if drifted:
        _stop_deletions(ctx, f"counters differ from the rows: {', '.join(drifted)}")
    return violations


def repair(ctx: Context) -> int:
    """Correct drifted sums from their rows; return the number of changed rows.

    For an operator who has understood the drift; deletions stay stopped until they are started
    again.
    """
    changed = 0
    for kept in SUMS:  # lower levels first
        while repaired := _repair(ctx, kept):
            changed += repaired
    return changed


@retried
def _find(ctx: Context, wanted: Sequence[Invariant]) -> list[Violation]:
    with ctx.begin.snapshot() as work:
        return list(invariant_registry.find(work, wanted, _limits(work, ctx)))


def _limits(work: Work, ctx: Context) -> InvariantLimits:
    return InvariantLimits(
        now=work.now,
        block_files=ctx.settings.block.max_files,
        block_bytes=ctx.settings.block.max_bytes,
        user_partition=ctx.settings.user.partition,
        alarm_share=ctx.settings.user.alarm_share,
        notice_share=ctx.settings.user.notice_share,
    )


@retried
def _stop_deletions(ctx: Context, why: str) -> None:
    with ctx.begin() as work:
        if switches.stopped(work, switches.DELETIONS):
            return
        values = {"stopped": True, "who": WHO, "why": why, "at": work.now}
        if not work.changed(update(Switch).where(Switch.name == switches.DELETIONS).values(values)):
            work.insert(Switch, [{"name": switches.DELETIONS, **values}])
        record(work, [Event("switch-stopped", WHO, why=f"{switches.DELETIONS}: {why}")])


@retried
def _repair(ctx: Context, kept: Sum) -> int:
    with ctx.begin() as work:
        rows = work.mappings(kept.drifted().limit(invariant_registry.MOST))
        for row in rows:
            kept.repair(work, row)
        if rows:
            text = f"{kept.name} of {len(rows)} rows corrected"
            record(work, [Event("sums-repaired", WHO, why=text)])
        return len(rows)
