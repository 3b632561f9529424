"""Unreadable files in rows: what cannot be read at a dying site, and for how long."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Exists, NotNullable, Select, and_, exists, or_, select
from sqlalchemy.orm import aliased

from dynamo.db.catalogue.names import lfn_hash
from dynamo.db.engine.expressions import Condition
from dynamo.db.engine.unit_of_work import Work
from dynamo.db.evacuation.evacuation import is_elsewhere
from dynamo.db.tables import BlockReplica, File, Incident, Transfer
from dynamo.db.views.sites import SiteRow
from dynamo.inventory.states import ReplicaState
from dynamo.operations.lifecycle import State
from dynamo.reasons import Reason


class Unread(NamedTuple):
    """A file that copies could not read at a dying site, and that no site that stays has."""

    file_id: int
    lfn: str
    size: int
    adler32: str
    block_id: int
    replica_id: int
    reason: str
    error: str | None
    corrupt: bool
    """Its bytes were read and are the wrong ones."""
    settled: bool
    """It was tried so often that it is tried only daily now."""

    @property
    def is_known(self) -> bool:
        """Tell whether something bad is known of this file, and not only of its site."""
        return self.corrupt or self.reason in _OF_THE_FILE


class ReportedFile(NamedTuple):
    """A file that could not be read where it should lie, as copies have reported it."""

    lfn: str
    kind: str
    detail: str | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A file that could not be read where it should lie."""

    incident: ReportedFile
    file: Unread
    awaited: bool
    """Copies elsewhere wait for it, as there is nothing to read."""


def known(work: Work, site: SiteRow) -> list[Unreadable]:
    """Return files that could not be read at a site where they should lie."""
    told = (
        Incident.site == site.name,
        Incident.kind.in_(("missing", "corrupt")),
        Incident.ended.is_(None),
    )
    incidents = work.read(
        ReportedFile,
        select(Incident.lfn, Incident.kind, Incident.detail, Incident.at)
        .where(*told)
        .order_by(Incident.id),
    )
    found: list[Unreadable] = []
    for start in range(0, len(incidents), 1000):
        some = {row.lfn: row for row in incidents[start : start + 1000]}
        named = File.lfn_hash.in_([lfn_hash(lfn) for lfn in some])
        rows = work.read(_Awaited, _awaited(site.id).where(named))
        found += [_unreadable(some[row.lfn], row) for row in rows]
    return found


_KNOWN = (NotNullable(File.size), NotNullable(File.adler32), NotNullable(File.block_id))
"""Of a file that a block replica holds."""


class _Awaited(NamedTuple):
    id: int
    lfn: str
    size: int
    adler32: str
    block_id: int
    replica_id: int
    awaited: bool


def _unreadable(told: ReportedFile, row: _Awaited) -> Unreadable:
    corrupt = told.kind == "corrupt"
    file = Unread(*row[:-1], told.kind, told.detail, corrupt=corrupt, settled=False)
    return Unreadable(told, file, row.awaited)


def _awaited(site_id: int) -> Select[int, str, int, str, int, int, bool]:
    """Select files at a site, and whether copies elsewhere wait for something to read."""
    waiting = (
        exists()
        .where(
            Transfer.file_id == File.id,
            Transfer.site_id != site_id,
            Transfer.state == State.HELD,
            Transfer.reason == Reason.NO_SOURCE,
        )
        .correlate(File)
    )
    here = (BlockReplica.site_id == site_id, BlockReplica.state == ReplicaState.VALID)
    replica = BlockReplica.id.label("replica_id")
    return (
        select(File.id, File.lfn, *_KNOWN, replica, waiting.label("awaited"))
        .join(BlockReplica, BlockReplica.block_id == File.block_id)
        .where(*here)
    )


@dataclass(frozen=True, slots=True)
class Patience:
    """Since when something must have failed for somebody to give up."""

    before: datetime
    site_fails: bool
    """Nothing could be read at the site since then."""
    asked: datetime
    """Copies that were sent for later say nothing yet of a site that fails."""
    attempts: int = 0
    """So often must a file have been tried where others can be read."""


_COPIES = 5
"""As many sites may wait for the same file."""
_OF_THE_FILE = (Reason.SOURCE_MISSING, Reason.CHECKSUM_MISMATCH, Reason.NO_SOURCE)
_OF_THE_SOURCE = (Reason.SOURCE_ERROR, *_OF_THE_FILE)


def for_long(
    work: Work,
    site: SiteRow,
    dying: Collection[int],
    patience: Patience,
    most: int,
    *more: Condition,
) -> list[Unread]:
    """Return such files for which copies have tried long enough, and which none reads just now."""
    waits = (Transfer.site_id != site.id, Transfer.state.in_((State.QUEUED, State.HELD)))
    reader = aliased(Transfer)
    read = exists().where(reader.source_id == BlockReplica.id, reader.file_id == File.id)
    read = read.where(reader.state == State.ACTIVE).correlate(BlockReplica, File)
    corrupt = _known_bad(site, patience, Incident.kind == "corrupt")
    held = (Transfer.state == State.HELD).label("settled")
    columns = (File.id.label("file_id"), File.lfn, *_KNOWN, BlockReplica.id.label("replica_id"))
    reason = NotNullable(Transfer.reason)
    rows = work.read(
        Unread,
        select(*columns, reason, Transfer.error, corrupt.label("corrupt"), held)
        .join(Transfer, Transfer.file_id == File.id)
        .join(BlockReplica, BlockReplica.block_id == File.block_id)
        .where(BlockReplica.site_id == site.id, BlockReplica.state == ReplicaState.VALID)
        .where(
            *waits, _failed_long(site, patience), ~is_elsewhere(dying), File.condemned_by.is_(None)
        )
        .where(~read, *more)
        .order_by(File.id, Transfer.id)
        .limit(most * _COPIES),
    )
    return list({row.file_id: row for row in rows}.values())[:most]


def _failed_long(site: SiteRow, patience: Patience) -> Condition:
    """Tell of a transfer that its file could not be read for long, or nothing at the site.

    Without an incident and without a source it may be one that an operator has stopped.
    """
    reads = BlockReplica.id == Transfer.source_id
    tried = or_(Transfer.attempts > 1, Transfer.state == State.HELD)
    often = Transfer.attempts >= patience.attempts
    failed = and_(reads, tried, often, Transfer.created <= patience.before)
    of_file = and_(
        or_(reads, Transfer.source_id.is_(None)),
        Transfer.reason.in_(_OF_THE_SOURCE),
        _known_bad(site, patience),
    )
    if patience.site_fails:
        failing = Transfer.reason.in_((*_OF_THE_SOURCE, Reason.SITE_FAILING))
        return or_(of_file, and_(reads, failing, Transfer.created <= patience.asked))
    return or_(of_file, and_(failed, Transfer.reason == Reason.SOURCE_ERROR))


def _known_bad(site: SiteRow, patience: Patience, *more: Condition) -> Exists:
    """Tell whether the file is known to be bad at the site since long."""
    told = (Incident.lfn == File.lfn, Incident.site == site.name, Incident.ended.is_(None))
    return exists().where(*told, Incident.at <= patience.before, *more).correlate(File)
