"""Repair: takes a missing or bad file out of its replica and copies it again.

Without another copy the file is declared lost: its owner sees it, and injects it again or deletes
it. The caller of all functions has locked the file's block.
"""

from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import NotNullable, delete, insert, literal, select, update

from dynamo.db.catalogue import accounting, good_copies, replicas
from dynamo.db.consistency import expected, incidents
from dynamo.db.consistency.expected import ExpectedFile
from dynamo.db.consistency.incidents import LOST, Report
from dynamo.db.engine import transitions
from dynamo.db.engine.expressions import Conditions
from dynamo.db.engine.unit_of_work import Work
from dynamo.db.history import Event, record
from dynamo.db.tables import BlockReplica, File, ReplicaFile, Site, Transfer
from dynamo.db.transfers import source_selection, transfers
from dynamo.inventory.callers import SYSTEM
from dynamo.inventory.states import TransferKind
from dynamo.operations.lifecycle import OPEN, State
from dynamo.reasons import Reason
from dynamo.services import system_requests
from dynamo.services.context import Context
from dynamo.services.deletions import condemnation, rescue
from dynamo.services.system_requests import RepairedFile

_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Bad:
    """A missing or bad file."""

    file: ExpectedFile
    site_id: int
    site: str
    found: str
    why: str

    @property
    def repaired(self) -> RepairedFile:
        """Return the file for its request."""
        return RepairedFile(self.file.dataset, self.file.lfn, self.site, self.file.size)


def has_other_copy(work: Work, file: ExpectedFile) -> bool:
    """Return whether another replica has the file, readable or not, condemned or not."""
    other_replicas = (BlockReplica.block_id == file.block_id, BlockReplica.id != file.replica_id)
    holder = select(BlockReplica.id).where(*other_replicas, good_copies.holds(file=file))
    return work.scalar(holder.limit(1)) is not None


def mend(work: Work, ctx: Context, bad: Bad) -> None:
    """Take the file out of its replica; copy it again, or declare it lost."""
    file = bad.file
    _take_out(work, bad)
    event = Event(
        f"{bad.found}-file", SYSTEM, file.dataset, file.uuid, file.lfn, bad.site, why=bad.why
    )
    record(work, [event])
    incidents.end_at(work, bad.site, [file.lfn])
    source = source_selection.of_file(work, file.block_id, file.lfn, bad.site_id)
    if source is None:
        condemnation.judge_all(work, rescue.revive(work, file.block_id), ctx.again)
        source = source_selection.of_file(work, file.block_id, file.lfn, bad.site_id)
    transfers.forget_ended(work, bad.site_id, [file.id])
    if source is not None or has_other_copy(work, file):
        _fetch(work, ctx, bad, source)
    else:
        _declare_lost(work, bad)


def _take_out(work: Work, bad: Bad) -> None:
    """Take a file out of a replica's list and counts; a complete replica lists its files now."""
    file, replica = bad.file, bad.file.replica_id
    if file.complete:
        others = (File.block_id == file.block_id, File.id != file.id, File.condemned_by.is_(None))
        rows = select(literal(replica), File.id).where(*others)
        work.changed(insert(ReplicaFile).from_select(["replica_id", "file_id"], rows))
    else:
        listed = (ReplicaFile.replica_id == replica, ReplicaFile.file_id == file.id)
        work.changed(delete(ReplicaFile).where(*listed))
    values = {
        "complete": False,
        "n_files": BlockReplica.n_files - 1,
        "bytes": BlockReplica.bytes - file.size,
        "updated": work.now,
    }
    work.changed(update(BlockReplica).where(BlockReplica.id == replica).values(values))
    # the file comes again, or stays promised to its owner: its space stays reserved
    accounting.shift(work, {(bad.site_id, file.partition_id): (0, -file.size)})


def _fetch(work: Work, ctx: Context, bad: Bad, source: int | None) -> None:
    """Start a copy of the file; without a readable source the transfer is held."""
    if source is not None:
        replicas.pin(work, {source: 1})
    state = State.QUEUED if source is not None else State.HELD
    due = work.now if source is not None else work.now + ctx.again
    request_id = system_requests.file_repair(work, ctx, bad.repaired)
    key = _transfer(
        work,
        bad,
        request_id,
        TransferKind.COPY,
        state,
        not_before=due,
        source_id=source,
        reason=None if source is not None else Reason.NO_SOURCE,
    )
    if source is not None:
        work.hint(*transfers.described(work, [key], ctx.settings.work.batch))


def _declare_lost(work: Work, bad: Bad) -> None:
    """Record the loss; the failed transfer lets the owner inject the file again."""
    file = bad.file
    cause = f"{bad.found} at {bad.site}, the only copy: {bad.why}"
    elsewhere = (Transfer.file_id == file.id, Transfer.state.in_((State.DONE, State.CANCELLED)))
    work.changed(delete(Transfer).where(*elsewhere))
    request_id = system_requests.file_failed_repair(work, bad.repaired)
    _transfer(
        work,
        bad,
        request_id,
        TransferKind.PULL,
        State.FAILED,
        not_before=None,
        reason=Reason.LOST,
        error=cause[:1000],
    )
    tell_lost(work, LostFile(file.lfn, file.dataset, bad.site, file.size, file.uuid), cause)


@dataclass(frozen=True, slots=True)
class LostFile:
    """A lost file, for the history."""

    lfn: str
    dataset: str
    site: str
    size: int | None
    block: str | None = None


def tell_lost(work: Work, lost: LostFile, why: str) -> None:
    """Record the loss of a file once: an incident for its owner, and an event."""
    if incidents.report(work, Report(lost.lfn, "", LOST, why)):
        event = Event(
            "lost",
            SYSTEM,
            dataset=lost.dataset,
            block=lost.block,
            lfn=lost.lfn,
            site=lost.site,
            n_files=1,
            bytes=lost.size,
        )
        record(work, [event])


def _transfer(
    work: Work, bad: Bad, request_id: int, kind: TransferKind, state: State, **values: object
) -> int:
    return work.add(
        Transfer,
        kind=kind,
        state=transitions.start(Transfer, state),
        request_id=request_id,
        file_id=bad.file.id,
        site_id=bad.site_id,
        replica_id=bad.file.replica_id,
        confirmed=True,
        hinted=work.now,
        **transfers.untried(work),
        **values,
    )


def give_up_hopeless(work: Work) -> int:
    """Declare files lost that wait for a source although no copy is left."""
    waiting = (
        Transfer.kind == TransferKind.COPY,
        Transfer.state.in_((State.QUEUED, State.HELD)),
        Transfer.source_id.is_(None),
        Transfer.reason == Reason.NO_SOURCE,
    )
    rows = work.read(
        _Hopeless,
        select(
            Transfer.id,
            NotNullable(File.block_id),
            File.lfn,
            Transfer.site_id,
            Site.name.label("site"),
        )
        .join(File, File.id == Transfer.file_id)
        .join(Site, Site.id == Transfer.site_id)
        .where(*waiting, File.condemned_by.is_(None))
        .limit(_AT_ONCE),
    )
    replicas.lock_blocks(work, {row.block_id for row in rows})
    return sum(_give_up(work, row, waiting) for row in rows)


class _Hopeless(NamedTuple):
    """A transfer that waits for a source although no copy is left."""

    id: int
    block_id: int
    lfn: str
    site_id: int
    site: str


def _give_up(work: Work, row: _Hopeless, waiting: Conditions) -> bool:
    file = expected.expected_at(work, row.site_id, row.lfn)
    if file is None or has_other_copy(work, file) or _comes(work, file):
        return False
    if not work.changed(delete(Transfer).where(Transfer.id == row.id, *waiting)):
        return False
    _declare_lost(work, Bad(file, row.site_id, row.site, "missing", "no copy is left"))
    return True


def _comes(work: Work, file: ExpectedFile) -> bool:
    """Return whether a new injection of the file is in transfer."""
    again = (Transfer.file_id == file.id, Transfer.kind != TransferKind.COPY)
    coming = select(Transfer.id).where(*again, Transfer.state.in_(OPEN)).limit(1)
    return work.scalar(coming) is not None


def still_there(work: Work, site_id: int, lfn: str) -> ExpectedFile | None:
    """Return the file if the catalogue still expects it at the site, else None."""
    return next(iter(expected.held(work, site_id, [lfn])), None)
