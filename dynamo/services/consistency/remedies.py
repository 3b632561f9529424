"""Remedies at work: claim those that are free, look again, act, record.

Everything is looked at once more before a file is touched, and once more when it is recorded: what
has come into the catalogue meanwhile is brought back to where it lay.
"""

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

from dynamo.consistency.decision import Kind
from dynamo.db.catalogue import replicas
from dynamo.db.consistency import expected, incidents, remedies
from dynamo.db.consistency.remedies import Act, Claimed
from dynamo.db.engine.unit_of_work import Work, retried
from dynamo.db.history import Event, record
from dynamo.db.sites import switches
from dynamo.db.tables import Remedy
from dynamo.db.work import claims
from dynamo.db.work.claims import Holder
from dynamo.errors import DynamoError, Unavailable
from dynamo.logs import logger
from dynamo.operations.hints import Hint
from dynamo.operations.lifecycle import State, Verdict, after_failure
from dynamo.points import Point, reached
from dynamo.services.consistency import repair
from dynamo.services.consistency.repair import Bad
from dynamo.services.context import Tools
from dynamo.services.deletions import reaper
from dynamo.services.leases import Heartbeat, LeaseLost, by_turns, keeping
from dynamo.services.system_requests import SYSTEM
from dynamo.storage.protocol import Stat, Storage, StorageError

log = logger("consistency")


@dataclass(frozen=True, slots=True)
class _Done:
    """What was found, and done, about a file."""

    claimed: Claimed
    moved: bool = False
    """It lies in the quarantine now."""
    bad: str | None = None
    """What is certain about a file that should be there; None = nothing is wrong with it."""
    failure: DynamoError | None = None


def remedy(use: Tools, ids: Sequence[int]) -> int:
    """Work on those remedies that are free and due; return how many steps were done."""
    return by_turns(ids, use.settings.lease, partial(_claim, use), partial(_remedy, use))


def _remedy(use: Tools, holder: Holder, claimed: Sequence[Claimed]) -> int:
    reached(Point.REMEDY_CLAIMED)
    with keeping(use.begin, Remedy, holder, use.settings.lease) as heartbeat:
        heartbeat.start([one.id for one in claimed])
        return sum(_each(use, holder, heartbeat, one) for one in claimed)


@retried
def _claim(use: Tools, ids: Collection[int], holder: Holder) -> list[Claimed]:
    with use.begin() as work:
        if switches.stopped(work, switches.CONSISTENCY):
            return []
        halted = bool(switches.stopped(work, switches.DELETIONS))
        free = remedies.workable(work, ids, without=[Act.REMOVE] if halted else [])
        claimed = remedies.load(work, claims.claim(work, Remedy, free, holder))
        return [_named(work, use, one) for one in claimed]


def _named(work: Work, use: Tools, claimed: Claimed) -> Claimed:
    """Settle where a file will lie in the quarantine: whoever goes on after a crash looks there."""
    if claimed.aside is not None:
        return claimed
    last = claimed.lfn.rpartition("/")[2]
    return remedies.aside(
        work, claimed, f"{use.settings.consistency.quarantine}/{claimed.id}/{last}"
    )


def _each(use: Tools, holder: Holder, heartbeat: Heartbeat, claimed: Claimed) -> bool:
    with suppress(LeaseLost):
        try:
            storage = use.storages.at(claimed.url, claimed.rules)
            _check_switches(use, claimed)
            done = _CALLS[claimed.kind](use, storage, heartbeat, claimed)
            reached(Point.REMEDIED)
        except DynamoError as failed:
            log.warning(
                "remedy failed",
                remedy=claimed.id,
                lfn=claimed.lfn,
                reason=failed.reason,
                detail=failed.detail,
            )
            done = _Done(claimed, failure=failed)
        recorded = _record(use, holder, done)
        heartbeat.finished([claimed.id])
        return recorded
    return False


@retried
def _check_switches(use: Tools, claimed: Claimed) -> None:
    """Stop in the midst of a batch. Raises Unavailable."""
    names = [switches.CONSISTENCY, switches.of_site(claimed.site)]
    names += [switches.DELETIONS] if claimed.kind is Act.REMOVE else []
    with use.begin.reading() as work:
        if switches.stopped(work, *names):
            raise Unavailable("an operator has stopped it", "switched-off")


# --- calls: nothing is recorded here -------------------------------------------------------------


def _quarantine(use: Tools, storage: Storage, heartbeat: Heartbeat, claimed: Claimed) -> _Done:
    """Move a dark file aside, if it still is one and is still the same."""
    assert claimed.aside is not None  # noqa: S101 - settled with the claim
    # by a worker that died before it could say so, or in the midst of the move
    moved = storage.stat(claimed.aside) is not None
    if not _same(storage.stat(claimed.lfn), claimed) or (not moved and _is_known(use, claimed)):
        return _Done(claimed, moved=moved)
    heartbeat.check(claimed.id)
    storage.move(claimed.lfn, claimed.aside)
    return _Done(claimed, moved=True)


def _mend(use: Tools, storage: Storage, heartbeat: Heartbeat, claimed: Claimed) -> _Done:
    """See whether a file is really missing or bad; a bad one of which there is another is moved."""
    assert claimed.aside is not None  # noqa: S101 - settled with the claim
    file, spare = _expected(use, claimed)
    if file is None:
        return _Done(claimed)
    if storage.stat(claimed.aside) is not None:
        return _Done(claimed, moved=True, bad="it was moved into quarantine")
    bad = _what_is_wrong(storage, claimed, file)
    if bad is None or storage.stat(claimed.lfn) is None or not spare:
        return _Done(claimed, bad=bad)
    heartbeat.check(claimed.id)
    storage.move(claimed.lfn, claimed.aside)
    return _Done(claimed, moved=True, bad=bad)


def _what_is_wrong(storage: Storage, claimed: Claimed, file: Any) -> str | None:
    found = storage.stat(claimed.lfn)
    if found is None:
        return "nothing lies there"
    if found.size != file.size:
        return f"{found.size} bytes lie there, {file.size} are registered"
    if claimed.found != Kind.CORRUPT or file.adler32 is None:
        return None
    adler32 = storage.adler32(claimed.lfn)
    return None if adler32 == file.adler32 else f"its adler32 is {adler32}, not {file.adler32}"


def _remove(use: Tools, storage: Storage, heartbeat: Heartbeat, claimed: Claimed) -> _Done:
    """Delete a file whose time in quarantine is over; a bad one not before there is a good one."""
    assert claimed.aside is not None  # noqa: S101 - it lies there
    if claimed.found != Kind.DARK and _is_awaited(use, claimed):
        return _Done(claimed, moved=True)
    heartbeat.check(claimed.id)
    reaper.delete_quarantined(storage, claimed.aside, use.settings.consistency.quarantine)
    return _Done(claimed)


def _release(_use: Tools, storage: Storage, heartbeat: Heartbeat, claimed: Claimed) -> _Done:
    """Move a file back to where it lay; what lies there by now stays, and so does the file."""
    assert claimed.aside is not None  # noqa: S101 - it lies there
    if storage.stat(claimed.aside) is None:
        return _Done(claimed)
    there = storage.stat(claimed.lfn)
    # the same may be what a worker left that died in the midst of the move
    if there is not None and not _same(there, claimed):
        return _Done(claimed, moved=True)
    heartbeat.check(claimed.id)
    try:
        storage.move(claimed.aside, claimed.lfn)
    except StorageError:
        if there is None:
            raise
        return _Done(claimed, moved=True)
    return _Done(claimed)


_CALLS = {
    Act.QUARANTINE: _quarantine,
    Act.MEND: _mend,
    Act.REMOVE: _remove,
    Act.RELEASE: _release,
}


def _same(found: Stat | None, claimed: Claimed) -> bool:
    """Tell whether the file is the one that was seen; times of storages are whole seconds."""
    if found is None or found.size != claimed.size or found.modified is None:
        return False
    return claimed.modified is not None and int(found.modified.timestamp()) == int(
        claimed.modified.timestamp()
    )


@retried
def _is_known(use: Tools, claimed: Claimed) -> bool:
    with use.begin.reading() as work:
        return expected.is_known(work, claimed.site_id, claimed.lfn)


@retried
def _is_awaited(use: Tools, claimed: Claimed) -> bool:
    """Tell whether the good file has not come yet."""
    with use.begin.reading() as work:
        return expected.expected_at(work, claimed.site_id, claimed.lfn) is not None


@retried
def _expected(use: Tools, claimed: Claimed) -> tuple[Any, bool]:
    """Return the file's row if it should still be there, and whether there is another copy."""
    with use.begin.reading() as work:
        file = repair.still_there(work, claimed.site_id, claimed.lfn)
        return file, file is not None and repair.has_other_copy(work, file)


# --- records -------------------------------------------------------------------------------------


@retried
def _record(use: Tools, holder: Holder, done: _Done) -> bool:
    """Record a step under its claim; False = it was not ours any more, or has failed."""
    claimed = done.claimed
    with use.begin() as work:
        file = repair.still_there(work, claimed.site_id, claimed.lfn)
        if claimed.kind is Act.MEND and file is not None:
            replicas.lock_blocks(work, {file.block_id})
        if not claims.held_by(work, Remedy, {claimed.id: claimed.lease_no}, holder):
            return False
        if done.failure is not None:
            _put_back(work, use, claimed, done.failure)
            return False
        _RECORDS[claimed.kind](work, use, done)
        return True


def _after_quarantine(work: Work, use: Tools, done: _Done) -> None:
    claimed = done.claimed
    if not done.moved:
        remedies.end(work, [claimed.id])
    elif expected.is_known(work, claimed.site_id, claimed.lfn):
        remedies.go_on(work, claimed.id, Act.RELEASE, work.now)
        work.hint(Hint("remedy", (claimed.id,), f"{claimed.lfn} is registered by now: release it"))
    else:
        _keep(work, use, claimed)
        _tell(work, "quarantined", claimed, f"dark; kept as {claimed.aside}")


def _after_mend(work: Work, use: Tools, done: _Done) -> None:
    claimed = done.claimed
    # read again: the block is locked only now
    file = repair.still_there(work, claimed.site_id, claimed.lfn)
    if file is not None and done.bad is not None:
        bad = Bad(file, claimed.site_id, claimed.site, claimed.found, done.bad)
        repair.mend(work, use, bad)
    elif file is not None:
        incidents.end_at(work, claimed.site, [claimed.lfn])
    if done.moved:
        _keep(work, use, claimed)
    else:
        remedies.end(work, [claimed.id])


def _after_remove(work: Work, use: Tools, done: _Done) -> None:
    if done.moved:
        _keep(work, use, done.claimed)
        return
    remedies.end(work, [done.claimed.id])
    _tell(work, "quarantine-deleted", done.claimed, f"{done.claimed.aside} was kept long enough")


def _after_release(work: Work, use: Tools, done: _Done) -> None:
    if done.moved:
        _keep(work, use, done.claimed)
        _tell(work, "release-refused", done.claimed, "something lies there already")
    else:
        remedies.end(work, [done.claimed.id])
        _tell(work, "released", done.claimed, "from quarantine")


_RECORDS = {
    Act.QUARANTINE: _after_quarantine,
    Act.MEND: _after_mend,
    Act.REMOVE: _after_remove,
    Act.RELEASE: _after_release,
}


def _keep(work: Work, use: Tools, claimed: Claimed) -> None:
    days = timedelta(days=use.settings.consistency.keep_days)
    remedies.go_on(work, claimed.id, Act.REMOVE, work.now + days)


def _tell(work: Work, what: str, claimed: Claimed, why: str) -> None:
    event = Event(
        what,
        SYSTEM,
        lfn=claimed.lfn,
        site=claimed.site,
        n_files=1,
        bytes=claimed.size,
        why=why,
    )
    record(work, [event])


def _put_back(work: Work, use: Tools, claimed: Claimed, failure: DynamoError) -> None:
    verdict = after_failure(failure.reason, claimed.attempts, work.now, use.patience, use.dice)
    if verdict.not_before is None:
        verdict = Verdict(State.HELD, work.now + use.patience.daily)
    claims.put_back(work, Remedy, claimed.id, verdict, failure.reason, failure.detail)
