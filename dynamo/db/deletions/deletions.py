"""Deletions in rows: what a worker must know of those it claimed."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import select, update

from dynamo.db.engine.unit_of_work import Work
from dynamo.db.sites import breakers
from dynamo.db.sites.switches import stopped_sites
from dynamo.db.tables import Deletion, File, Request, Site, Transfer
from dynamo.db.tables.types import Json
from dynamo.inventory.states import TransferKind
from dynamo.operations.breakers import TRIAL_FILES, Operation, Position
from dynamo.operations.lifecycle import State
from dynamo.reasons import Reason


@dataclass(frozen=True, slots=True)
class ClaimedDeletion:
    """A deletion that is ours for now."""

    id: int
    lease_no: int
    attempts: int
    request_id: int
    request_kind: str
    file_id: int
    lfn: str
    dataset_id: int
    block_id: int | None
    replica_id: int | None
    site_id: int
    site: str
    partition_id: int
    bytes: int
    url: str
    rules: dict[str, object]
    upload: str | None
    """The temporary name of an upload at this site, to be removed with the file."""


def at_working_sites(work: Work, ids: Collection[int]) -> list[int]:
    """Return those of the deletions whose site is not stopped by its switch, and does not rest.

    Those at a site that rests wait for that; where it is tried again, some are.
    """
    idle = stopped_sites(work)
    rows: Sequence[tuple[int, int]] = work.rows(
        select(Deletion.id, Deletion.site_id)
        .join(Site, Site.id == Deletion.site_id)
        .where(Deletion.id.in_(ids), Site.name.not_in(idle))
        .order_by(Deletion.id)
    )
    for rest in breakers.resting(work, {site for _, site in rows}, Operation.DELETE):
        here = [key for key, site in rows if site == rest.site_id]
        tried = TRIAL_FILES if rest.position is Position.HALF_OPEN else 0
        until = work.now + _TRIAL if tried else rest.until
        _postpone(work, here[tried:], until, rest.detail)
        rows = [(key, site) for key, site in rows if key not in here[tried:]]
    return [key for key, _ in rows]


_TRIAL = timedelta(minutes=1)
"""How long the others wait while a few are tried."""


def _postpone(work: Work, ids: Collection[int], until: datetime, detail: str | None) -> None:
    if ids:
        due = (Deletion.id.in_(ids), Deletion.state == State.QUEUED)
        values = {
            "not_before": until,
            "reason": Reason.SITE_FAILING,
            "error": f"the site's delete breaker is open: {detail}"[:1000],
            "updated": work.now,
        }
        work.changed(update(Deletion).where(*due, Deletion.not_before <= work.now).values(values))


def wake(work: Work, site_ids: Collection[int]) -> None:
    """Let deletions go on that waited for a breaker, as it is closed again."""
    waiting = (Deletion.state == State.QUEUED, Deletion.reason == Reason.SITE_FAILING)
    found = work.scalars(select(Deletion.id).where(*waiting, Deletion.site_id.in_(site_ids)))
    if found:
        values = {"not_before": work.now, "reason": None, "error": None}
        work.changed(
            update(Deletion)
            .where(Deletion.id.in_(found), Deletion.state == State.QUEUED)
            .values(values)
        )


class _ClaimedRow(NamedTuple):
    id: int
    attempts: int
    request_id: int
    kind: str
    file_id: int
    lfn: str
    dataset_id: int
    block_id: int | None
    replica_id: int | None
    site_id: int
    site: str
    partition_id: int
    bytes: int
    url: str
    rules: Json
    upload: str | None


def load(work: Work, claims: Mapping[int, int]) -> list[ClaimedDeletion]:
    """Read what must be known of claimed deletions."""
    if not claims:
        return []
    upload = (Transfer.file_id == Deletion.file_id) & (Transfer.site_id == Deletion.site_id)
    statement = (
        select(
            Deletion.id,
            Deletion.attempts,
            Deletion.request_id,
            Request.kind,
            Deletion.file_id,
            File.lfn,
            File.dataset_id,
            File.block_id,
            Deletion.replica_id,
            Deletion.site_id,
            Site.name.label("site"),
            Deletion.partition_id,
            Deletion.bytes,
            Site.url,
            Site.rules,
            Transfer.upload,
        )
        .join(File, File.id == Deletion.file_id)
        .join(Site, Site.id == Deletion.site_id)
        .join(Request, Request.id == Deletion.request_id)
        .outerjoin(
            Transfer, upload & (Transfer.kind == TransferKind.UPLOAD) & (Transfer.state != "done")
        )
        .where(Deletion.id.in_(claims))
        .order_by(Deletion.id)
    )
    return [
        ClaimedDeletion(
            id=row.id,
            lease_no=claims[row.id],
            attempts=row.attempts,
            request_id=row.request_id,
            request_kind=row.kind,
            file_id=row.file_id,
            lfn=row.lfn,
            dataset_id=row.dataset_id,
            block_id=row.block_id,
            replica_id=row.replica_id,
            site_id=row.site_id,
            site=row.site,
            partition_id=row.partition_id,
            bytes=row.bytes,
            url=row.url,
            rules=row.rules,
            upload=row.upload,
        )
        for row in work.read(_ClaimedRow, statement)
    ]
