"""Injection: a job's output is registered, its bytes are booked, its arrival is set going."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

from sqlalchemy import select, update

from dynamo.db import requests
from dynamo.db.catalogue import names as catalogue_names
from dynamo.db.catalogue.names import Bringing, DatasetRow, KnownFile
from dynamo.db.engine import transitions
from dynamo.db.engine.unit_of_work import Again, Work, retried
from dynamo.db.requests import NewRequest, RequestRow
from dynamo.db.sites import switches
from dynamo.db.tables import Group, Partition, Transfer
from dynamo.errors import (
    Conflict,
    DynamoError,
    Fault,
    Forbidden,
    Invalid,
    NotFound,
)
from dynamo.inventory import schemas
from dynamo.inventory.callers import Caller
from dynamo.inventory.request_bodies import InjectionBody
from dynamo.inventory.states import DatasetStatus, RequestKind, RequestState, TransferKind
from dynamo.operations.hints import Hint
from dynamo.operations.lifecycle import State
from dynamo.reasons import Reason
from dynamo.services import authorization, idempotency, users
from dynamo.services.context import Context
from dynamo.services.idempotency import Filed, Key
from dynamo.services.injection import rebooking, validation
from dynamo.services.injection.rebooking import GIVEN_UP, Rebooked
from dynamo.services.injection.registration import Batch, Registered, register
from dynamo.services.injection.site_selection import Candidate
from dynamo.services.requests import views as request_views


def file(ctx: Context, wanted: schemas.Injection, caller: Caller, key: Key | None = None) -> int:
    """Register files, or say of known ones how they are; return the request's id.

    Names, ownership, uniqueness and both quotas are checked in the transaction that registers: all
    or nothing. The hint goes out after it; should that be lost, the sweep finds the transfers.
    """
    return _prepared(ctx, wanted, caller, key).request_id


def hand_over(
    ctx: Context, wanted: schemas.Injection, caller: Caller, key: Key | None = None
) -> dict[str, object]:
    """Register files as `file` does and return the request object.

    Where all are new it is made of what was just written: reading a thousand files again would
    cost a fourth of the call.
    """
    filed = _prepared(ctx, wanted, caller, key)
    registered = filed.registered
    if registered is None or len(registered.files) < len(wanted.files):
        return request_views.get(ctx, RequestKind.INJECTION, filed.request_id)
    site = registered.site
    pfn = ctx.storages.at(site.url, site.rules).pfn
    files = [
        request_views.file_object(
            site.name, pfn, new.lfn, State.QUEUED, registered.uploads.get(new.lfn)
        )
        for new in registered.files
    ]
    return {**filed.told, "files": files}


@dataclass(frozen=True, slots=True)
class _Submitted(Filed):
    """What a call has written: the request, as it is shown without its files, and the files."""

    told: dict[str, object] = field(default_factory=dict)
    registered: Registered | None = None
    rebooked: Rebooked = field(default_factory=Rebooked)

    @property
    def uploads(self) -> list[tuple[Candidate, str]]:
        """Return where jobs will write: one address of each site."""
        if self.registered is None or not self.registered.uploads:
            return list(self.rebooked.uploads)
        first = next(iter(self.registered.uploads.values()))
        return [(self.registered.site, first), *self.rebooked.uploads]


def _prepared(
    ctx: Context, wanted: schemas.Injection, caller: Caller, key: Key | None
) -> _Submitted:
    validation.check_shape(wanted, ctx.settings)
    validation.check_scopes([new.lfn for new in wanted.files], caller, "/files/{}/lfn")
    write = partial(_file, ctx, wanted, caller)
    filed = idempotency.file_once(ctx.begin, caller.name, key, write, _Submitted)
    for site, name in filed.uploads:
        # a storage that is away now does not undo the booking: booking again makes its folder
        with suppress(DynamoError):
            ctx.storages.prepare(site.url, site.rules, name)
    return filed


def _file(ctx: Context, wanted: schemas.Injection, caller: Caller, work: Work) -> _Submitted:
    caller_id = users.ensure(work, caller.name, ctx.settings)
    if switches.stopped(work, switches.INJECTION):
        raise Conflict(
            "injection is switched off by an operator; try again later", Reason.SWITCHED_OFF
        )
    dataset = _dataset(work, ctx, wanted.dataset, caller, caller_id)
    validation.check_names(
        wanted.files,
        authorization.namespace(ctx.settings),
        dataset.owner,
    )
    known = catalogue_names.known_files(work, [new.lfn for new in wanted.files])
    validation.check_known(wanted.files, known, dataset.id)
    fresh = [new for new in wanted.files if new.lfn not in known]
    batch = Batch(dataset, caller, wanted)
    filed = _request(work, batch, caller_id, known, ctx.again)
    rebooked = rebooking.rebook(work, ctx, batch, known)
    registered = register(work, ctx, batch, fresh, filed) if fresh else None
    request_id = registered.request_id if registered else requests.add(work, filed)
    rebooking.sign(work, rebooked, request_id)
    text = f"inject {len(fresh)} files, request {request_id}"
    work.hint(Hint("inject", (request_id, *sorted(rebooked.requests)), text))
    told = request_views.as_filed(filed, request_id, caller.name, work.now)
    return _Submitted(request_id, told, registered, rebooked)


@retried
def uploaded(ctx: Context, request_id: int, lfns: Sequence[str] | None, caller: Caller) -> None:
    """Confirm that files of a booking lie at their upload address; confirming twice is harmless."""
    with ctx.begin() as work:
        request = requests.get(work, request_id, InjectionBody)
        if request is None:
            raise NotFound(f"there is no injection {request_id}")
        authorization.check_owner(work, request.owner_id, caller)
        rows = catalogue_names.arrivals(work, request_id, request.body.known)
        booked = {row.lfn: row.id for row in rows if row.kind == TransferKind.UPLOAD}
        if _booking_has_ended(work, request, rows, lfns):
            raise Conflict(
                "what was booked here has expired, was cancelled or given up, or was booked anew"
                " by another run of the job: book again",
                Reason.BOOKING_EXPIRED,
            )
        if lfns is not None and (unknown := [lfn for lfn in lfns if lfn not in booked]):
            faults = [
                Fault(f"/lfns/{list(lfns).index(lfn)}", "not booked by this injection", lfn)
                for lfn in unknown
            ]
            raise Invalid("some names were not booked for upload by this injection", faults=faults)
        confirmed = list(booked) if lfns is None else lfns
        validation.check_scopes(confirmed, caller, "/lfns/{}")
        ids = [booked[lfn] for lfn in confirmed]
        _lock(work, request_id, ids)
        now = {"not_before": work.now, "hinted": work.now, "updated": work.now}
        waiting = (State.QUEUED, State.HELD)
        transitions.move(work, Transfer, ids, State.QUEUED, from_=waiting, confirmed=True, **now)
        looked_at = (Transfer.id.in_(ids), Transfer.state == State.ACTIVE)
        # no moment tells who looks there now to look again: he may have come before the bytes
        again = {"confirmed": True, "not_before": None}
        work.changed(update(Transfer).where(*looked_at).values(again))
        # a job that repeats its line confirms what its first life booked: that request brings it
        first = work.scalars(select(Transfer.request_id).where(Transfer.id.in_(ids)).distinct())
        text = f"verify {len(ids)} uploads, request {request_id}"
        work.hint(Hint("inject", tuple(sorted({request_id, *first})), text))


def _lock(work: Work, request_id: int, ids: Sequence[int]) -> None:
    """Lock transfers; raises Again where a later call has got another address meanwhile."""
    columns = select(Transfer.id, Transfer.rebooked_by).where(Transfer.id.in_(ids))
    rows = work.rows(columns.order_by(Transfer.id).with_for_update())
    if any(rebooking.is_overtaken(by, request_id) for _, by in rows):
        raise Again("a transfer was booked anew meanwhile")


def _booking_has_ended(
    work: Work,
    request: RequestRow[InjectionBody],
    rows: Sequence[Bringing],
    lfns: Sequence[str] | None,
) -> bool:
    """Tell whether a file that is to be confirmed will not be taken any more.

    Transfers of files that were dropped go with their names. Those of files that arrived long ago
    are forgotten too, but then the injection is done, or the file is among the known ones.
    """
    if request.state == RequestState.DONE:
        return False
    named = None if lfns is None else frozenset(lfns)
    concerned = [row for row in rows if named is None or row.lfn in named]
    if any(rebooking.is_overtaken(row.rebooked_by, request.id) for row in concerned):
        return True
    if any(row.kind == TransferKind.UPLOAD and row.state in GIVEN_UP for row in concerned):
        return True
    if len(concerned) >= (request.n_files if named is None else len(named)):
        return False
    known = request.body.known
    failed = request.state in (RequestState.FAILED, RequestState.CANCELLED)
    return failed or (bool(known) and catalogue_names.still_there(work, known) < len(known))


def _dataset(work: Work, ctx: Context, name: str, caller: Caller, caller_id: int) -> DatasetRow:
    """Return the dataset, registered now if the caller may own a dataset of this name."""
    row = catalogue_names.dataset(work, name)
    if row is not None:
        if row.status not in (DatasetStatus.VALID, DatasetStatus.PRODUCTION):
            raise Conflict(
                f"{name} is {row.status}; it takes no files",
                Reason.BEING_DELETED
                if row.status == DatasetStatus.DELETED
                else Reason.DATASET_CLOSED,
            )
        authorization.check_owner_named(row.owner, caller)
        return row
    own = authorization.namespace(ctx.settings).is_dataset_of(name, caller.name)
    if not own and not caller.may_produce:
        shape = ctx.settings.user.dataset_pattern.replace("{user}", caller.name).replace(
            "{part}", "…"
        )
        raise Forbidden(f"a dataset of {caller.name} is named {shape}", Reason.NOT_YOUR_NAMESPACE)
    partition = ctx.settings.user.partition if own else "Production"
    group = ctx.settings.user.group if own else "production"
    catalogue_names.add_dataset(
        work,
        catalogue_names.NewDataset(
            name,
            caller_id if own else None,
            work.value(select(Partition.id).where(Partition.name == partition)),
            work.scalar(select(Group.id).where(Group.name == group)),
        ),
    )
    waiting = requests.concerning(work, [name], [RequestKind.COPY])[RequestKind.COPY]
    if waiting:
        work.hint(Hint("plan", tuple(waiting), f"plan copies of {name}, just registered"))
    registered = catalogue_names.dataset(work, name)
    assert registered is not None  # noqa: S101 - just added
    return registered


def _request(
    work: Work, batch: Batch, caller_id: int, known: Mapping[str, KnownFile], again: timedelta
) -> NewRequest:
    arrived = [row for row in known.values() if row.has_arrived]
    pending = tuple(row.id for row in known.values() if not row.has_arrived)
    files = batch.wanted.files
    everything = len(arrived) == len(files)
    return NewRequest(
        caller_id,
        batch.wanted.dataset,
        InjectionBody(known=tuple(row.id for row in known.values()), pending=pending),
        n_files=len(files),
        n_done=len(arrived),
        bytes=sum(new.size or 0 for new in files),
        not_before=work.now + again if pending else None,
        state=RequestState.DONE if everything else RequestState.RUNNING,
    )
