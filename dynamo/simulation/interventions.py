"""Finds matters that need a person, at the end of each simulated day."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import ColumnElement, NotNullable, Select, and_, case, exists, func, or_, select
from sqlalchemy.orm import aliased

from dynamo.db.consistency.incidents import LOST
from dynamo.db.engine.expressions import Condition, total
from dynamo.db.engine.unit_of_work import Work
from dynamo.db.tables import (
    BlockReplica,
    Cycle,
    Dataset,
    Deletion,
    History,
    Incident,
    Partition,
    Remedy,
    Request,
    Site,
    Switch,
    Transfer,
)
from dynamo.inventory.states import (
    ENDED,
    ReplicaState,
    RequestKind,
    RequestState,
    SiteStatus,
    TransferKind,
)
from dynamo.operations.lifecycle import OPEN, State
from dynamo.reasons import Mover, Reason
from dynamo.simulation.standing import RequestStanding

PATIENCE = timedelta(days=3)
"""Time without progress, while all parts work, after which an operator looks at an item."""
_OTHERS = {Mover.OWNER, Mover.SYSTEM}
PERSONAL = frozenset(one for one in Reason if not one.retryable and one.mover not in _OTHERS)
"""Permanent reasons: operations held for them need a person at once.

Requests for lost files are the owner's matter, who injects the files again or deletes them.
"""
ABSENT = frozenset(reason for reason in Reason if reason.mover is Mover.SITE)
"""Reasons that end when a site comes back or is given up."""
NOT_EMPTIED = "not-emptied"
UNREADABLE = "not-emptied-silent"
NOT_BACK = "not-back"


@dataclass(frozen=True, slots=True)
class Intervention:
    """A matter for a person."""

    what: str
    """`transfer`, `deletion`, `remedy`, `request`, `site`, `file`, `cycle` or `switch`."""
    where: str
    """Site, kind of requests, partition of the cycle, or name of the switch."""
    reason: str
    n: int
    """Number of operations."""

    @property
    def matter(self) -> tuple[str, str, str]:
        """Return the key that identifies the matter on other days."""
        return self.what, self.where, self.reason


@dataclass(frozen=True, slots=True)
class Look:
    """The state of the simulation in an evening."""

    work: Work
    standing: RequestStanding
    silent: Collection[str]
    """Endpoints that the simulation has switched off."""
    given_up: timedelta
    """Waiting time for a failed site."""
    lost: timedelta = timedelta()
    """Further waiting time for files that only a dying site has; 0 = a person decides."""

    @property
    def edge(self) -> datetime:
        """Return the time before which an item must have last changed to need a person."""
        return self.work.now - PATIENCE


def find(look: Look) -> list[Intervention]:
    """Return all matters for a person, each site and reason once."""
    matters = (
        *_transfers(look),
        *_removals(look),
        *_requests(look),
        *_sites(look),
        *_losses(look),
        *_cycles(look),
        *_switches(look),
    )
    return sorted(matters, key=lambda need: need.matter)


def _settled(site: type[Site], look: Look) -> Condition:
    """Return the condition that a site is neither down nor recently changed."""
    since = func.coalesce(site.since, site.created)
    waited = and_(site.status == SiteStatus.MORGUE, site.url.in_(look.silent))
    edge = case((waited, look.edge - look.lost), else_=look.edge)
    return and_(site.status != SiteStatus.WAITROOM, since < edge)


def _transfers(look: Look) -> Iterator[Intervention]:
    """Find transfers held for a person, or held for long between two working sites.

    A copy without a source waits for any site that may have it, until that site is given up.
    """
    home = aliased(Site)
    edge, work = look.edge, look.work
    unread = and_(Transfer.kind == TransferKind.COPY, Transfer.source_id.is_(None))
    known = or_(home.id.is_(None), _settled(home, look))
    late = or_(
        and_(~unread, Transfer.created < edge, _settled(Site, look), known),
        and_(unread, Transfer.created < edge - look.given_up - look.lost),
    )
    yield from _held(
        work,
        "transfer",
        select(Site.name, Transfer.reason, func.count())
        .select_from(Transfer)
        .join(Site, Site.id == Transfer.site_id)
        .outerjoin(BlockReplica, BlockReplica.id == Transfer.source_id)
        .outerjoin(home, home.id == BlockReplica.site_id)
        .where(Transfer.state == State.HELD, or_(Transfer.reason.in_(PERSONAL), late))
        .group_by(Site.name, Transfer.reason),
    )


_LEAVING: Mapping[type[Deletion | Remedy], str] = {Deletion: "deletion", Remedy: "remedy"}


def _removals(look: Look) -> Iterator[Intervention]:
    """Find the same of deletions and remedies; condemned data at a lost storage need nobody."""
    for table, subject in _LEAVING.items():
        answers = Site.url.not_in(look.silent)
        late = and_(table.created < look.edge, _settled(Site, look), answers)
        yield from _held(
            look.work,
            subject,
            select(Site.name, table.reason, func.count())
            .select_from(table)
            .join(Site, Site.id == table.site_id)
            .where(table.state == State.HELD, or_(table.reason.in_(PERSONAL), late))
            .group_by(Site.name, table.reason),
        )


def _held(work: Work, subject: str, wanted: Select[str, str | None, int]) -> Iterator[Intervention]:
    for place, reason, n in work.rows(wanted):
        yield Intervention(subject, place, reason or Reason.WAITING, n)


class _Request(NamedTuple):
    id: int
    kind: str
    state: str
    n_done: int
    bytes_done: int
    reason: str


def _requests(look: Look) -> Iterator[Intervention]:
    """Find requests held for a person, or without progress for long.

    Copies of growing datasets are left out, and so are deletions at a lost storage. A request that
    waited for a site gets three more days after the site is back.
    """
    work = look.work
    own_transfers = (Transfer.request_id == Request.id, Transfer.state.in_(OPEN))
    transfer_reason = select(func.min(Transfer.reason)).where(*own_transfers).scalar_subquery()
    known = func.coalesce(Request.reason, transfer_reason, Reason.WAITING)
    reason: ColumnElement[str] = known.label("reason")
    columns = (Request.id, Request.kind, Request.state, Request.n_done, Request.bytes_done, reason)
    growing = and_(Request.kind == RequestKind.COPY, func.coalesce(Dataset.is_open, False))
    rows = work.read(
        _Request,
        select(*columns)
        .outerjoin(Dataset, Dataset.name == Request.dataset)
        .where(Request.state.not_in(tuple(ENDED)), ~growing, Request.id.not_in(_unheard(look)))
        .where(~_of_lost_files(), ~_of_unborn_data()),
    )
    marks = {row.id: (row.n_done, row.bytes_done) for row in rows}
    still = look.standing.still("request", work.now, marks)
    waits = {row.id: row.reason in ABSENT for row in rows}
    same_reason = look.standing.still("request that waits", work.now, waits)
    longest = PATIENCE + look.given_up + look.lost
    counted: dict[tuple[str, str], int] = {}
    for row in rows:
        personal = row.state == RequestState.HELD and row.reason in PERSONAL
        late = not waits[row.id] and min(still[row.id], same_reason[row.id]) >= PATIENCE
        if personal or late or still[row.id] >= longest:
            counted[row.kind, row.reason] = counted.get((row.kind, row.reason), 0) + 1
    return (Intervention("request", kind, reason, n) for (kind, reason), n in counted.items())


def _of_lost_files() -> Condition:
    """Return the condition that a request waits for lost files."""
    lost = exists().where(
        Incident.dataset == Request.dataset, Incident.kind == LOST, Incident.ended.is_(None)
    )
    reason = func.coalesce(Request.reason, Reason.WAITING)
    return or_(reason == Reason.LOST, and_(reason.in_(ABSENT), lost))


def _of_unborn_data() -> Condition:
    """Tell whether a request waits for data without a file yet, as anybody may ask for."""
    return func.coalesce(Request.reason, Reason.WAITING) == Reason.DATASET_UNKNOWN


def _unheard(look: Look) -> Select[int]:
    """Return the requests with deletions at a lost storage."""
    joined = select(Deletion.request_id).join(Site, Site.id == Deletion.site_id)
    return joined.where(Deletion.state.in_(OPEN), Site.url.in_(look.silent))


def _sites(look: Look) -> Iterator[Intervention]:
    """Find sites in evacuation that do not become emptier, and sites that do not come back.

    Condemned data are safe elsewhere, so only the rest counts. At a lost storage the rest are files
    without another copy, which are declared lost after a while.
    """
    work = look.work
    valid = (BlockReplica.site_id == Site.id, BlockReplica.state == ReplicaState.VALID)
    lies = select(total(BlockReplica.bytes)).where(*valid).scalar_subquery()
    columns = (Site.name, Site.status, Site.url, Site.set_by, lies.label("bytes"))
    rows = work.read(_Site, select(*columns).where(Site.status != SiteStatus.READY))
    marks = {row.name: (row.status, row.url in look.silent, row.bytes) for row in rows}
    still = look.standing.still("site", work.now, marks)
    for row in rows:
        reason = _of_site(row, look.silent)
        waits = look.lost if reason == UNREADABLE else timedelta()
        if reason is not None and still[row.name] >= PATIENCE + waits:
            yield Intervention("site", row.name, reason, 1)


class _Site(NamedTuple):
    name: str
    status: str
    url: str
    set_by: str | None
    bytes: int


def _of_site(site: _Site, silent: Collection[str]) -> str | None:
    """Return the matter at a site that is not ready; None without one."""
    if site.status == SiteStatus.MORGUE:
        reason = UNREADABLE if site.url in silent else NOT_EMPTIED
        return reason if site.bytes else None
    probed = site.status == SiteStatus.WAITROOM and site.set_by == "probes"
    return NOT_BACK if probed and site.url not in silent else None


def _losses(look: Look) -> Iterator[Intervention]:
    """Find lost files whose storage answers."""
    rows = look.work.rows(
        select(Site.name, func.count(Incident.id.distinct()))
        .select_from(Incident)
        .join(History, and_(History.lfn == Incident.lfn, History.what == LOST))
        .join(Site, Site.name == History.site)
        .where(Incident.kind == LOST, Incident.ended.is_(None), Site.url.not_in(look.silent))
        .group_by(Site.name)
    )
    return (Intervention("file", place, Reason.LOST, n) for place, n in rows)


def _cycles(look: Look) -> Iterator[Intervention]:
    """Find partitions whose last cycle failed; lost workers do not count."""
    carried_out = (Cycle.dry_run.is_(False), Cycle.ended.is_not(None))
    newest = select(func.max(Cycle.id)).where(*carried_out)
    failed = (Cycle.state == RequestState.FAILED, Cycle.reason != Reason.WORKER_LOST)
    rows = look.work.rows(
        select(Cycle.kind, Partition.name, NotNullable(Cycle.reason))
        .join(Partition, Partition.id == Cycle.partition_id)
        .where(Cycle.id.in_(newest.group_by(Cycle.kind, Cycle.partition_id)), *failed)
    )
    return (Intervention("cycle", f"{kind} of {name}", reason, 1) for kind, name, reason in rows)


def _switches(look: Look) -> Iterator[Intervention]:
    """Find stopped activities: a drift stops deletions, and only people start them again."""
    stopped = look.work.scalars(select(Switch.name).where(Switch.stopped.is_(True)))
    return (Intervention("switch", name, Reason.SWITCHED_OFF, 1) for name in stopped)
