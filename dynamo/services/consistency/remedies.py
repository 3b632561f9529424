"""Remedies: claims free ones, looks again, acts, records.

Each file is looked at again before it is touched, and again when the step is recorded. A file that
was registered meanwhile is moved back to its name.
"""

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from dynamo.consistency.decision import Kind
from dynamo.db.catalogue import replicas
from dynamo.db.consistency import expected, incidents, remedies
from dynamo.db.consistency.expected import ExpectedFile
from dynamo.db.consistency.remedies import ClaimedRemedy
from dynamo.db.engine.unit_of_work import Work, retried
from dynamo.db.history import Event, record
from dynamo.db.sites import switches
from dynamo.db.tables import Remedy
from dynamo.db.work import claims
from dynamo.db.work.claims import Holder
from dynamo.errors import DynamoError, Unavailable
from dynamo.inventory.callers import SYSTEM
from dynamo.inventory.states import RemedyKind
from dynamo.logs import logger
from dynamo.operations.hints import Hint
from dynamo.operations.lifecycle import State, Verdict, after_failure
from dynamo.points import Point, reached
from dynamo.reasons import Reason
from dynamo.services.consistency import repair
from dynamo.services.consistency.repair import Bad
from dynamo.services.context import Context
from dynamo.services.deletions import reaper
from dynamo.services.leases import Heartbeat, LeaseLost, by_turns, keeping
from dynamo.storage.protocol import Stat, Storage, StorageError

log = logger("consistency")


@dataclass(frozen=True, slots=True)
class _Outcome:
    """The result of a step."""

    claimed: ClaimedRemedy
    moved: bool = False
    """Whether the file is in quarantine now."""
    bad: str | None = None
    """What is wrong with an expected file; None = nothing."""
    failure: DynamoError | None = None


def remedy(ctx: Context, ids: Sequence[int]) -> int:
    """Work on free and due remedies; return the number of steps done."""
    return by_turns(ids, ctx.settings.lease, partial(_claim, ctx), partial(_remedy, ctx))


def _remedy(ctx: Context, holder: Holder, claimed: Sequence[ClaimedRemedy]) -> int:
    reached(Point.REMEDY_CLAIMED)
    with keeping(ctx.begin, Remedy, holder, ctx.settings.lease) as heartbeat:
        heartbeat.start([row.id for row in claimed])
        return sum(_each(ctx, holder, heartbeat, row) for row in claimed)


@retried
def _claim(ctx: Context, ids: Collection[int], holder: Holder) -> list[ClaimedRemedy]:
    with ctx.begin() as work:
        if switches.stopped(work, switches.CONSISTENCY):
            return []
        halted = bool(switches.stopped(work, switches.DELETIONS))
        free = remedies.workable(work, ids, without=[RemedyKind.REMOVE] if halted else [])
        claimed = remedies.load(work, claims.claim(work, Remedy, free, holder))
        return [_named(work, ctx, row) for row in claimed]


def _named(work: Work, ctx: Context, claimed: ClaimedRemedy) -> ClaimedRemedy:
    """Set the file's name in the quarantine, where a worker looks after a crash."""
    if claimed.aside is not None:
        return claimed
    last = claimed.lfn.rpartition("/")[2]
    return remedies.aside(
        work, claimed, f"{ctx.settings.consistency.quarantine}/{claimed.id}/{last}"
    )


def _each(ctx: Context, holder: Holder, heartbeat: Heartbeat, claimed: ClaimedRemedy) -> bool:
    with suppress(LeaseLost):
        try:
            storage = ctx.storages.at(claimed.url, claimed.rules)
            _check_switches(ctx, claimed)
            done = _CALLS[claimed.kind](ctx, storage, heartbeat, claimed)
            reached(Point.REMEDIED)
        except DynamoError as error:
            log.warning(
                "remedy failed",
                remedy=claimed.id,
                lfn=claimed.lfn,
                reason=error.reason,
                detail=error.detail,
            )
            done = _Outcome(claimed, failure=error)
        recorded = _record(ctx, holder, done)
        heartbeat.finished([claimed.id])
        return recorded
    return False


@retried
def _check_switches(ctx: Context, claimed: ClaimedRemedy) -> None:
    """Stop within a batch. Raises Unavailable."""
    names = [switches.CONSISTENCY, switches.of_site(claimed.site)]
    names += [switches.DELETIONS] if claimed.kind is RemedyKind.REMOVE else []
    with ctx.begin.reading() as work:
        if switches.stopped(work, *names):
            raise Unavailable("an operator has stopped it", Reason.SWITCHED_OFF)


# --- calls, without records ----------------------------------------------------------------------


def _quarantine(
    ctx: Context, storage: Storage, heartbeat: Heartbeat, claimed: ClaimedRemedy
) -> _Outcome:
    """Move a dark file to the quarantine, if it is unchanged and still dark."""
    assert claimed.aside is not None  # noqa: S101 - set with the claim
    # moved by a worker that died before the record, or within the move
    moved = storage.stat(claimed.aside) is not None
    if not _same(storage.stat(claimed.lfn), claimed) or (not moved and _is_known(ctx, claimed)):
        return _Outcome(claimed, moved=moved)
    heartbeat.check(claimed.id)
    storage.move(claimed.lfn, claimed.aside)
    return _Outcome(claimed, moved=True)


def _mend(ctx: Context, storage: Storage, heartbeat: Heartbeat, claimed: ClaimedRemedy) -> _Outcome:
    """Check whether a file is missing or bad; move a bad one aside if there is another copy."""
    assert claimed.aside is not None  # noqa: S101 - set with the claim
    file, spare = _expected(ctx, claimed)
    if file is None:
        return _Outcome(claimed)
    if storage.stat(claimed.aside) is not None:
        return _Outcome(claimed, moved=True, bad="it was moved into quarantine")
    bad = _what_is_wrong(storage, claimed, file)
    if bad is None or storage.stat(claimed.lfn) is None or not spare:
        return _Outcome(claimed, bad=bad)
    heartbeat.check(claimed.id)
    storage.move(claimed.lfn, claimed.aside)
    return _Outcome(claimed, moved=True, bad=bad)


def _what_is_wrong(storage: Storage, claimed: ClaimedRemedy, file: ExpectedFile) -> str | None:
    known = storage.stat(claimed.lfn)
    if known is None:
        return "the file is missing"
    if known.size != file.size:
        return f"{known.size} bytes are at the site, {file.size} are registered"
    if claimed.found != Kind.CORRUPT or file.adler32 is None:
        return None
    adler32 = storage.adler32(claimed.lfn)
    return None if adler32 == file.adler32 else f"its adler32 is {adler32}, not {file.adler32}"


def _remove(
    ctx: Context, storage: Storage, heartbeat: Heartbeat, claimed: ClaimedRemedy
) -> _Outcome:
    """Delete a file after its time in quarantine; a bad file only once a good copy is there."""
    assert claimed.aside is not None  # noqa: S101 - the file is in quarantine
    if claimed.found != Kind.DARK and _is_awaited(ctx, claimed):
        return _Outcome(claimed, moved=True)
    heartbeat.check(claimed.id)
    reaper.delete_quarantined(storage, claimed.aside, ctx.settings.consistency.quarantine)
    return _Outcome(claimed)


def _release(
    _use: Context, storage: Storage, heartbeat: Heartbeat, claimed: ClaimedRemedy
) -> _Outcome:
    """Move a file back to its old name, unless another file has that name by now."""
    assert claimed.aside is not None  # noqa: S101 - the file is in quarantine
    if storage.stat(claimed.aside) is None:
        return _Outcome(claimed)
    present = storage.stat(claimed.lfn)
    # the same file may come from a worker that died within the move
    if present is not None and not _same(present, claimed):
        return _Outcome(claimed, moved=True)
    heartbeat.check(claimed.id)
    try:
        storage.move(claimed.aside, claimed.lfn)
    except StorageError:
        if present is None:
            raise
        return _Outcome(claimed, moved=True)
    return _Outcome(claimed)


_CALLS = {
    RemedyKind.QUARANTINE: _quarantine,
    RemedyKind.MEND: _mend,
    RemedyKind.REMOVE: _remove,
    RemedyKind.RELEASE: _release,
}


def _same(known: Stat | None, claimed: ClaimedRemedy) -> bool:
    """Return whether a file is the one that was seen; storages report whole seconds."""
    if known is None or known.size != claimed.size or known.modified is None:
        return False
    return claimed.modified is not None and int(known.modified.timestamp()) == int(
        claimed.modified.timestamp()
    )


@retried
def _is_known(ctx: Context, claimed: ClaimedRemedy) -> bool:
    with ctx.begin.reading() as work:
        return expected.is_known(work, claimed.site_id, claimed.lfn)


@retried
def _is_awaited(ctx: Context, claimed: ClaimedRemedy) -> bool:
    """Return whether the good copy has not arrived yet."""
    with ctx.begin.reading() as work:
        return expected.expected_at(work, claimed.site_id, claimed.lfn) is not None


@retried
def _expected(ctx: Context, claimed: ClaimedRemedy) -> tuple[ExpectedFile | None, bool]:
    """Return the file if the catalogue still expects it, and whether it has another copy."""
    with ctx.begin.reading() as work:
        file = repair.still_there(work, claimed.site_id, claimed.lfn)
        return file, file is not None and repair.has_other_copy(work, file)


# --- records -------------------------------------------------------------------------------------


@retried
def _record(ctx: Context, holder: Holder, done: _Outcome) -> bool:
    """Record a step under its claim; return False if the claim is lost or the step failed."""
    claimed = done.claimed
    with ctx.begin() as work:
        file = repair.still_there(work, claimed.site_id, claimed.lfn)
        if claimed.kind is RemedyKind.MEND and file is not None:
            replicas.lock_blocks(work, {file.block_id})
        if not claims.held_by(work, Remedy, {claimed.id: claimed.lease_no}, holder):
            return False
        if done.failure is not None:
            _put_back(work, ctx, claimed, done.failure)
            return False
        _RECORDS[claimed.kind](work, ctx, done)
        return True


def _after_quarantine(work: Work, ctx: Context, done: _Outcome) -> None:
    claimed = done.claimed
    if not done.moved:
        remedies.end(work, [claimed.id])
    elif expected.is_known(work, claimed.site_id, claimed.lfn):
        remedies.go_on(work, claimed.id, RemedyKind.RELEASE, work.now)
        work.hint(Hint("remedy", (claimed.id,), f"{claimed.lfn} is registered by now: release it"))
    else:
        _keep(work, ctx, claimed)
        _record_event(work, "quarantined", claimed, f"dark; kept as {claimed.aside}")


def _after_mend(work: Work, ctx: Context, done: _Outcome) -> None:
    claimed = done.claimed
    # read again under the lock of the block
    file = repair.still_there(work, claimed.site_id, claimed.lfn)
    if file is not None and done.bad is not None:
        bad = Bad(file, claimed.site_id, claimed.site, claimed.found, done.bad)
        repair.mend(work, ctx, bad)
    elif file is not None:
        incidents.end_at(work, claimed.site, [claimed.lfn])
    if done.moved:
        _keep(work, ctx, claimed)
    else:
        remedies.end(work, [claimed.id])


def _after_remove(work: Work, ctx: Context, done: _Outcome) -> None:
    if done.moved:
        _keep(work, ctx, done.claimed)
        return
    remedies.end(work, [done.claimed.id])
    _record_event(
        work, "quarantine-deleted", done.claimed, f"{done.claimed.aside} was kept for its time"
    )


def _after_release(work: Work, ctx: Context, done: _Outcome) -> None:
    if done.moved:
        _keep(work, ctx, done.claimed)
        _record_event(work, "release-refused", done.claimed, "another file has the name")
    else:
        remedies.end(work, [done.claimed.id])
        _record_event(work, "released", done.claimed, "from quarantine")


_RECORDS = {
    RemedyKind.QUARANTINE: _after_quarantine,
    RemedyKind.MEND: _after_mend,
    RemedyKind.REMOVE: _after_remove,
    RemedyKind.RELEASE: _after_release,
}


def _keep(work: Work, ctx: Context, claimed: ClaimedRemedy) -> None:
    days = timedelta(days=ctx.settings.consistency.keep_days)
    remedies.go_on(work, claimed.id, RemedyKind.REMOVE, work.now + days)


def _record_event(work: Work, name: str, claimed: ClaimedRemedy, reason: str) -> None:
    event = Event(
        name,
        SYSTEM,
        lfn=claimed.lfn,
        site=claimed.site,
        n_files=1,
        bytes=claimed.size,
        why=reason,
    )
    record(work, [event])


def _put_back(work: Work, ctx: Context, claimed: ClaimedRemedy, failure: DynamoError) -> None:
    verdict = after_failure(failure.reason, claimed.attempts, work.now, ctx.patience, ctx.dice)
    if verdict.not_before is None:
        verdict = Verdict(State.HELD, work.now + ctx.patience.daily)
    claims.put_back(work, Remedy, claimed.id, verdict, failure.reason, failure.detail)
