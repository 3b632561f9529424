"""Transfers in rows: what a worker must know of those it claimed, and what it found out."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Nullable, and_, bindparam, delete, exists, or_, select
from sqlalchemy.orm import aliased

from dynamo.db.engine import transitions
from dynamo.db.engine.unit_of_work import Work
from dynamo.db.sites.switches import stopped_sites
from dynamo.db.tables import BlockReplica, Dataset, File, Incident, Quota, Site, Transfer, User
from dynamo.inventory.states import SiteStatus, TransferKind
from dynamo.operations.hints import Hint
from dynamo.operations.lifecycle import State
from dynamo.reasons import Reason


@dataclass(frozen=True, slots=True)
class End:
    """One end of a transfer: a site's storage."""

    name: str
    url: str
    rules: dict[str, object]
    scratch: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ClaimedTransfer:
    """A transfer that is ours for now."""

    id: int
    lease_no: int
    kind: str
    request_id: int
    file_id: int
    lfn: str
    size: int | None
    adler32: str | None
    dataset_id: int
    block_id: int | None
    replica_id: int | None
    source_id: int | None
    site_id: int
    destination: End
    source: End | None
    source_url: str | None
    upload: str | None
    confirmed: bool
    expires: datetime | None
    attempts: int
    is_known_bad: bool
    """What lies at the destination under its name is a copy of which something bad is known."""


class _ClaimedRow(NamedTuple):
    id: int
    kind: str
    request_id: int
    file_id: int
    lfn: str
    size: int | None
    adler32: str | None
    dataset_id: int
    block_id: int | None
    replica_id: int | None
    source_id: int | None
    site_id: int
    source_url: str | None
    upload: str | None
    confirmed: bool
    expires: datetime | None
    attempts: int
    source_site_id: int | None
    is_known_bad: bool


_ENDED = (State.DONE, State.FAILED, State.CANCELLED)
_SOURCE = aliased(BlockReplica)
_CLAIMED = (
    select(
        Transfer.id,
        Transfer.kind,
        Transfer.request_id,
        Transfer.file_id,
        File.lfn,
        File.size,
        File.adler32,
        File.dataset_id,
        File.block_id,
        Transfer.replica_id,
        Transfer.source_id,
        Transfer.site_id,
        Transfer.source_url,
        Transfer.upload,
        Transfer.confirmed,
        Transfer.expires,
        Transfer.attempts,
        _SOURCE.site_id.label("source_site_id"),
        exists()
        .where(
            Incident.lfn == File.lfn,
            Incident.ended.is_(None),
            Incident.site.in_(("", Site.name)),
        )
        .label("is_known_bad"),
    )
    .join(File, File.id == Transfer.file_id)
    .join(Site, Site.id == Transfer.site_id)
    .outerjoin(_SOURCE, _SOURCE.id == Transfer.source_id)
    .where(Transfer.id.in_(bindparam("by_ids", expanding=True)))
    .order_by(Transfer.id)
)
_ENDS = select(Site.id, Site.name, Site.url, Site.rules, Site.scratch, Site.sources).where(
    Site.id.in_(bindparam("by_ids", expanding=True))
)


def load(work: Work, claims: dict[int, int]) -> list[ClaimedTransfer]:
    """Read what must be known of claimed transfers."""
    if not claims:
        return []
    rows = work.read(_ClaimedRow, _CLAIMED, {"by_ids": list(claims)})
    ends = _ends(work, {row.site_id for row in rows} | {row.source_site_id for row in rows})
    return [
        ClaimedTransfer(
            id=row.id,
            lease_no=claims[row.id],
            kind=row.kind,
            request_id=row.request_id,
            file_id=row.file_id,
            lfn=row.lfn,
            size=row.size,
            adler32=row.adler32,
            dataset_id=row.dataset_id,
            block_id=row.block_id,
            replica_id=row.replica_id,
            source_id=row.source_id,
            site_id=row.site_id,
            destination=ends[row.site_id],
            source=None if row.source_site_id is None else ends.get(row.source_site_id),
            source_url=row.source_url,
            upload=row.upload,
            confirmed=row.confirmed,
            expires=row.expires,
            attempts=row.attempts,
            is_known_bad=row.is_known_bad,
        )
        for row in rows
    ]


def _ends(work: Work, site_ids: Collection[int | None]) -> dict[int, End]:
    rows = work.rows(_ENDS, {"by_ids": list(site_ids)})
    return {
        key: End(name, url, rules, tuple(scratch), tuple(sources))
        for key, name, url, rules, scratch, sources in rows
    }


_LIES_THERE = and_(
    Site.status == SiteStatus.MORGUE,
    Transfer.kind == TransferKind.UPLOAD,
    Transfer.confirmed.is_(True),
)
"""What a job has brought and confirmed lies at the site, and needs but a look and its name there.

Nobody else has it: it leaves a site that is emptied like all that lies there.
"""
_TAKEN = or_(Site.status == SiteStatus.READY, _LIES_THERE)


def unusable(work: Work, ids: Collection[int]) -> dict[int, Reason]:
    """Return transfers whose destination takes nothing now, with the reason."""
    idle = stopped_sites(work)
    rows = work.rows(
        select(Transfer.id, Site.name)
        .join(Site, Site.id == Transfer.site_id)
        .where(Transfer.id.in_(ids), ~_TAKEN | Site.name.in_(idle))
    )
    return {
        transfer: Reason.SWITCHED_OFF if site in idle else Reason.SITE_NOT_READY
        for transfer, site in rows
    }


def of_requests(work: Work, request_ids: Collection[int], limit: int) -> list[int]:
    """Return due transfers of requests; they are noted as sent to the workers."""
    due = (
        Transfer.request_id.in_(request_ids),
        Transfer.state == State.QUEUED,
        Transfer.not_before <= work.now,
    )
    return work.scalars(select(Transfer.id).where(*due).order_by(Transfer.id).limit(limit))


def described(work: Work, ids: Collection[int], size: int) -> list[Hint]:
    """Cut transfers into batches that share a way.

    Each with a sentence that operators understand.
    """
    source_replica, source_site = aliased(BlockReplica), aliased(Site)
    rows = work.rows(
        select(
            Transfer.id,
            Transfer.kind,
            Transfer.request_id,
            Site.name,
            Nullable(source_site.name),
        )
        .join(Site, Site.id == Transfer.site_id)
        .outerjoin(source_replica, source_replica.id == Transfer.source_id)
        .outerjoin(source_site, source_site.id == source_replica.site_id)
        .where(Transfer.id.in_(ids))
        .order_by(Transfer.id)
    )
    ways: dict[tuple[str, str, str | None, int], list[int]] = {}
    for transfer, kind, request_id, site, source in rows:
        ways.setdefault((kind, site, source, request_id), []).append(transfer)
    hints: list[Hint] = []
    for (kind, site, source, request_id), members in ways.items():
        task = "copy" if kind == TransferKind.COPY else "transfer"
        way = f"{source} → {site}" if kind == TransferKind.COPY else f"into {site}"
        for start in range(0, len(members), size):
            batch = tuple(members[start : start + size])
            hints.append(
                Hint(task, batch, f"{kind} {len(batch)} files {way}, request {request_id}")
            )
    return hints


def wake_where_the_cause_is_gone(work: Work) -> int:
    """Queue held transfers whose site is back or whose quota has room again."""
    idle = stopped_sites(work)
    ids = work.scalars(
        select(Transfer.id)
        .join(Site, Site.id == Transfer.site_id)
        .where(
            Transfer.state == State.HELD,
            Transfer.reason.in_((Reason.SITE_NOT_READY, Reason.SWITCHED_OFF)),
            _TAKEN,
            Site.name.not_in(idle),
        )
    )
    ids += work.scalars(
        select(Transfer.id)
        .join(File, File.id == Transfer.file_id)
        .join(Dataset, Dataset.id == File.dataset_id)
        .join(User, User.id == Dataset.owner_id)
        .where(
            Transfer.state == State.HELD,
            Transfer.reason == Reason.QUOTA_EXCEEDED,
            User.max_bytes.is_(None) | (User.used + File.size <= User.max_bytes),
        )
    )
    ids += work.scalars(
        select(Transfer.id)
        .join(File, File.id == Transfer.file_id)
        .join(Dataset, Dataset.id == File.dataset_id)
        .join(
            Quota,
            (Quota.site_id == Transfer.site_id) & (Quota.partition_id == Dataset.partition_id),
        )
        .where(
            Transfer.state == State.HELD,
            Transfer.reason == Reason.STORAGE_FULL,
            Transfer.replica_id.is_(None),
            Quota.max_bytes.is_(None) | (Quota.projected + File.size <= Quota.max_bytes),
        )
    )
    return _queue(work, ids)


def wake_at(work: Work, site_ids: Collection[int]) -> int:
    """Queue transfers that waited for space at sites where some was freed."""
    waiting = (
        Transfer.state == State.HELD,
        Transfer.reason == Reason.STORAGE_FULL,
        Transfer.site_id.in_(site_ids),
    )
    return _queue(work, work.scalars(select(Transfer.id).where(*waiting)))


def _queue(work: Work, ids: Sequence[int]) -> int:
    if not ids:
        return 0
    now = {"not_before": work.now, "hinted": work.now, "updated": work.now}
    changed = transitions.move(work, Transfer, ids, State.QUEUED, from_=(State.HELD,), **now)
    work.hint(*described(work, ids, 100))
    return changed


def without_source(work: Work, file_id: int, replica_id: int, again: timedelta) -> int:
    """Let waiting copies of a file wait for another source than a replica; return how many."""
    reading = (Transfer.file_id == file_id, Transfer.source_id == replica_id)
    values = {"reason": Reason.NO_SOURCE, "not_before": work.now + again, "source_id": None}
    return transitions.move_where(
        work, Transfer, reading, State.HELD, from_=(State.QUEUED, State.HELD), **values
    )


def try_again(work: Work, file_id: int) -> None:
    """Let waiting copies of a file be tried now, as if they never had been."""
    copies = (Transfer.file_id == file_id, Transfer.kind == TransferKind.COPY)
    values = {"not_before": work.now, "attempts": 0, "hinted": work.now}
    transitions.move_where(
        work,
        Transfer,
        copies,
        State.QUEUED,
        from_=(State.QUEUED, State.HELD),
        reason=None,
        error=None,
        **values,
    )


def partition_of(work: Work, replica_ids: Collection[int]) -> dict[int, tuple[int, int]]:
    """Return the account (site, partition) of replicas."""
    rows = work.rows(
        select(BlockReplica.id, BlockReplica.site_id, BlockReplica.partition_id).where(
            BlockReplica.id.in_(replica_ids)
        )
    )
    return {replica: (site, partition) for replica, site, partition in rows}


def clear_ended(work: Work, site_id: int, block_ids: Collection[int]) -> None:
    """Forget ended transfers of blocks to a site, so that their files can be sent there again."""
    # found without a lock: MariaDB searches all transfers for a DELETE with a subquery, and waits
    # for each that is being recorded
    ended = work.scalars(
        select(Transfer.id)
        .join(File, File.id == Transfer.file_id)
        .where(
            File.block_id.in_(block_ids),
            Transfer.site_id == site_id,
            Transfer.state.in_(_ENDED),
        )
    )
    if ended:
        work.changed(delete(Transfer).where(Transfer.id.in_(ended)))


def forget_ended(work: Work, site_id: int, file_ids: Collection[int]) -> None:
    """Forget how files came to a site, or did not, so that they can be sent there again."""
    here = (Transfer.file_id.in_(file_ids), Transfer.site_id == site_id)
    work.changed(delete(Transfer).where(*here, Transfer.state.in_(_ENDED)))


def forget_losses(work: Work, kept: Mapping[int, int]) -> None:
    """Forget where else files were lost that come again, each by one transfer that is kept."""
    lost = work.rows(
        select(Transfer.id, Transfer.file_id).where(
            Transfer.file_id.in_(kept),
            Transfer.kind != TransferKind.COPY,
            Transfer.state == State.FAILED,
        )
    )
    others = [transfer for transfer, file in lost if transfer != kept[file]]
    if others:
        work.changed(delete(Transfer).where(Transfer.id.in_(others)))


def untried(work: Work) -> dict[str, object]:
    """Return what a transfer holds that nobody has tried yet, whatever it brings."""
    now = work.now
    return {"attempts": 0, "lost": 0, "lease_no": 0, "created": now, "updated": now}
