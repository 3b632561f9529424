"""Requests in rows: filed, counted, ended; here alone what they ask is written and read."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any, Generic, NamedTuple, TypeGuard, TypeVar

import msgspec
from sqlalchemy import ColumnElement, bindparam, func, or_, select, update

from dynamo.db.catalogue import replicas
from dynamo.db.catalogue.replicas import ReplicaRow
from dynamo.db.engine import transitions
from dynamo.db.engine.typed_rows import Selection
from dynamo.db.engine.unit_of_work import Work
from dynamo.db.tables import BlockReplica, Group, Request, Transfer
from dynamo.db.tables.types import Json
from dynamo.inventory.request_bodies import CopyBody, InjectionBody, RequestBody, body_type
from dynamo.inventory.states import ENDED, Origin, RequestKind, RequestState, TransferKind
from dynamo.logs import trace
from dynamo.operations.lifecycle import State
from dynamo.reasons import ReasonWord

B = TypeVar("B", bound=RequestBody)
B_co = TypeVar("B_co", bound=RequestBody, covariant=True)


class _Stored(NamedTuple):
    id: int
    kind: str
    state: str
    origin: str
    owner_id: int
    dataset: str
    body: Json
    n_files: int
    n_done: int
    n_failed: int
    bytes: int
    bytes_done: int
    reason: str | None
    detail: str | None
    not_before: datetime | None
    created: datetime
    updated: datetime


STORED = select(
    Request.id,
    Request.kind,
    Request.state,
    Request.origin,
    Request.owner_id,
    Request.dataset,
    Request.body,
    Request.n_files,
    Request.n_done,
    Request.n_failed,
    Request.bytes,
    Request.bytes_done,
    Request.reason,
    Request.detail,
    Request.not_before,
    Request.created,
    Request.updated,
)
"""What `of` needs of a row; more columns may follow."""
WIDTH = len(_Stored._fields)


@dataclass(frozen=True, slots=True)
class RequestRow(Generic[B_co]):
    """A request as it is kept, with what it asks as a structure."""

    id: int
    kind: RequestKind
    state: RequestState
    origin: Origin
    owner_id: int
    dataset: str
    body: B_co
    n_files: int
    n_done: int
    n_failed: int
    bytes: int
    bytes_done: int
    reason: str | None
    detail: str | None
    not_before: datetime | None
    created: datetime
    updated: datetime


def of(found: Sequence[object]) -> RequestRow[RequestBody]:
    """Read a row that begins as `STORED` does, whatever follows."""
    row = _Stored._make(found[:WIDTH])
    kind, origin = RequestKind(row.kind), Origin(row.origin)
    return RequestRow(
        id=row.id,
        kind=kind,
        state=RequestState(row.state),
        origin=origin,
        owner_id=row.owner_id,
        dataset=row.dataset,
        body=msgspec.convert(row.body, body_type(kind, origin)),
        n_files=row.n_files,
        n_done=row.n_done,
        n_failed=row.n_failed,
        bytes=row.bytes,
        bytes_done=row.bytes_done,
        reason=row.reason,
        detail=row.detail,
        not_before=row.not_before,
        created=row.created,
        updated=row.updated,
    )


def asks(row: RequestRow[RequestBody], body: type[B]) -> TypeGuard[RequestRow[B]]:
    """Tell whether a request asks something of this structure."""
    return isinstance(row.body, body)


@dataclass(frozen=True, slots=True)
class NewRequest:
    """A request that is about to be registered."""

    owner_id: int
    dataset: str
    body: RequestBody
    origin: Origin = Origin.CALLER
    n_files: int = 0
    bytes: int = 0
    not_before: datetime | None = None
    state: RequestState = RequestState.QUEUED
    n_done: int = 0

    def row(self, request_id: int, now: datetime) -> RequestRow[RequestBody]:
        """Return the request as it is kept once it is registered."""
        return RequestRow(
            id=request_id,
            kind=self.body.kind,
            state=self.state,
            origin=self.origin,
            owner_id=self.owner_id,
            dataset=self.dataset,
            body=self.body,
            n_files=self.n_files,
            n_done=self.n_done,
            n_failed=0,
            bytes=self.bytes,
            bytes_done=0,
            reason=None,
            detail=None,
            not_before=self.not_before,
            created=now,
            updated=now,
        )


def add(work: Work, filed: NewRequest) -> int:
    """Register a request and return its id."""
    return work.add(
        Request,
        kind=filed.body.kind,
        state=transitions.start(Request, filed.state),
        origin=filed.origin,
        owner_id=filed.owner_id,
        dataset=filed.dataset,
        body=_encoded(filed.body),
        n_files=filed.n_files,
        n_done=filed.n_done,
        n_failed=0,
        bytes=filed.bytes,
        bytes_done=0,
        not_before=filed.not_before,
        trace=trace(),
        created=work.now,
        updated=work.now,
    )


def _encoded(body: RequestBody) -> Json:
    encoded: Json = msgspec.to_builtins(body)
    return encoded


def get(work: Work, request_id: int, body: type[B]) -> RequestRow[B] | None:
    """Return a request that asks something of this structure, or None."""
    return _first(work, STORED.where(Request.id == request_id), body)


def locked(work: Work, request_id: int, body: type[B]) -> RequestRow[B] | None:
    """Lock a request and return it if it asks something of this structure, else None."""
    mine = STORED.where(Request.id == request_id)
    return _first(work, mine.with_for_update(), body)


def _first(work: Work, statement: Selection, body: type[B]) -> RequestRow[B] | None:
    row = work.row(statement)
    if row is None:
        return None
    found = of(row)
    return found if asks(found, body) else None


def all_locked(work: Work, request_ids: Collection[int], body: type[B]) -> list[RequestRow[B]]:
    """Lock requests, in one order, and return those that ask something of this structure."""
    mine = STORED.where(Request.id.in_(request_ids))
    found = map(of, work.rows(mine.order_by(Request.id).with_for_update()))
    return [row for row in found if asks(row, body)]


def not_consolidating() -> ColumnElement[bool]:
    """Return the condition for copies that leave the data where they lie as well."""
    of_system = Request.origin != Origin.CALLER
    return or_(of_system, Request.body["consolidate"].as_boolean().is_(False))


def ask_otherwise(work: Work, request_id: int, body: RequestBody, **values: object) -> bool:
    """Change what a request that has not ended asks, and what else but its state is named."""
    return change(work, request_id, body=_encoded(body), **values)


def change(work: Work, request_id: int, **values: object) -> bool:
    """Change all but the state of a request that has not ended."""
    statement = update(Request).where(Request.id == request_id, Request.state.not_in(ENDED))
    return work.changed(statement.values(updated=work.now, **values)) == 1


def move(work: Work, request_id: int, state: RequestState, **values: Any) -> bool:
    """Bring a request that has not ended into a state, and change what else is said of it."""
    return transitions.move(work, Request, [request_id], state, updated=work.now, **values) == 1


def end(
    work: Work,
    request_id: int,
    state: RequestState,
    reason: ReasonWord | None = None,
    detail: str | None = None,
) -> bool:
    """End a request for good.

    The reason that it had stands unless it is done or another is given.
    """
    said: dict[str, object] = (
        {"reason": reason, "detail": detail}
        if reason is not None or state == RequestState.DONE
        else {}
    )
    return move(work, request_id, state, not_before=None, **said)


@dataclass(slots=True)
class Tally:
    """What became of files of one request in one unit of work."""

    done: int = 0
    failed: int = 0
    bytes_done: int = 0
    bytes_added: int = 0
    """Bytes that became known only now."""


@dataclass(slots=True)
class Tallies:
    """Tallies of several requests."""

    of: dict[int, Tally] = field(default_factory=dict)

    def __getitem__(self, request_id: int) -> Tally:
        return self.of.setdefault(request_id, Tally())


def count(work: Work, tallies: Tallies) -> None:
    """Add to the kept counts of requests.

    A copy that has ended knows what it has brought; what still arrives is of blocks that left.
    """
    counting = (Request.kind != RequestKind.COPY) | Request.state.not_in(ENDED)
    for request_id in sorted(tallies.of):
        tally = tallies.of[request_id]
        work.changed(
            update(Request)
            .where(Request.id == request_id, counting)
            .values(
                n_done=Request.n_done + tally.done,
                n_failed=Request.n_failed + tally.failed,
                bytes_done=Request.bytes_done + tally.bytes_done,
                bytes=Request.bytes + tally.bytes_added,
                updated=work.now,
            )
        )


def more(work: Work, request_id: int | None, n_files: int, size: int) -> None:
    """Count files and bytes that a request is to bring as well."""
    values = {"n_files": Request.n_files + n_files, "bytes": Request.bytes + size}
    work.changed(update(Request).where(Request.id == request_id).values(values))


def settle_injections(work: Work, request_ids: Collection[int]) -> None:
    """Bring the state of injections in line with their counts and transfers."""
    rows = work.rows(
        STORED.where(
            Request.id.in_(request_ids),
            Request.kind == RequestKind.INJECTION,
            Request.state.not_in(ENDED),
        ).order_by(Request.id)
    )
    open_ones = [row for row in map(of, rows) if asks(row, InjectionBody)]
    held = dict(
        work.rows(
            select(Transfer.request_id, func.count())
            .where(
                Transfer.request_id.in_([row.id for row in open_ones]), Transfer.state == State.HELD
            )
            .group_by(Transfer.request_id)
        )
    )
    for row in open_ones:
        left = row.n_files - row.n_done - row.n_failed
        if left <= 0:
            end(work, row.id, RequestState.FAILED if row.n_failed else RequestState.DONE)
        else:
            state, why = _standing(work, row, left, held.get(row.id, 0))
            move(work, row.id, state, **why)


def _standing(
    work: Work, row: RequestRow[InjectionBody], left: int, held: int
) -> tuple[RequestState, dict[str, str | None]]:
    """Return how an injection stands, and why: it rests when all that is left of it is held.

    Also what earlier ones are to bring.
    """
    pending = row.body.pending
    resting = _held_files(work, pending) if pending and held + len(pending) >= left else ()
    if held + len(resting) >= left:
        reason, detail = work.row(_HELD, {"of_request": row.id}) or resting[0]
        return RequestState.HELD, {"reason": reason, "detail": detail}
    cause_is_gone = row.state == RequestState.HELD
    return RequestState.RUNNING, {"reason": None, "detail": None} if cause_is_gone else {}


_HELD = (
    select(Transfer.reason, Transfer.error)
    .where(Transfer.request_id == bindparam("of_request"), Transfer.state == State.HELD)
    .order_by(Transfer.id)
    .limit(1)
)


def _held_files(work: Work, file_ids: Sequence[int]) -> Sequence[tuple[str | None, str | None]]:
    """Return why those of these files rest that were to come and are held."""
    return work.rows(
        select(Transfer.reason, Transfer.error)
        .where(
            Transfer.file_id.in_(file_ids),
            Transfer.kind != TransferKind.COPY,
            Transfer.state == State.HELD,
        )
        .order_by(Transfer.id)
    )


def concerning(
    work: Work, dataset_names: Collection[str], kinds: Sequence[RequestKind]
) -> dict[RequestKind, list[int]]:
    """Return the requests of these kinds on datasets that have not ended."""
    rows = work.rows(
        select(Request.id, Request.kind).where(
            Request.dataset.in_(dataset_names), Request.kind.in_(kinds), Request.state.not_in(ENDED)
        )
    )
    return {kind: [key for key, of_kind in rows if of_kind == kind] for kind in kinds}


def keeping(work: Work, replica_ids: Collection[int]) -> set[int]:
    """Return the replicas whose owner an open copy request names for them: they stay with it."""
    owned = [
        (ReplicaRow._make(row[:-1]), str(row[-1]))
        for row in work.rows(
            replicas.described()
            .add_columns(Group.name)
            .join(Group, Group.id == BlockReplica.group_id)
            .where(BlockReplica.id.in_(replica_ids))
        )
    ]
    named: dict[tuple[str, str], list[CopyBody]] = {}
    for request in open_copies(work, Request.dataset.in_({row.dataset for row, _ in owned})):
        if request.body.group is not None:
            named.setdefault((request.dataset, request.body.group), []).append(request.body)
    return {
        row.id
        for row, group in owned
        if any(_means(body, row) for body in named.get((row.dataset, group), ()))
    }


def _means(body: CopyBody, replica: ReplicaRow) -> bool:
    """Tell whether a copy request is about a block replica."""
    if body.blocks is not None and f"{replica.dataset}#{replica.uuid}" not in body.blocks:
        return False
    return any(fnmatchcase(replica.site, site) for site in body.chosen or body.sites)


_OPEN_COPIES = (Request.kind == RequestKind.COPY, Request.state.not_in(ENDED))


def open_copies(work: Work, *which: ColumnElement[bool]) -> list[RequestRow[CopyBody]]:
    """Return the copies that callers want and that have not ended."""
    rows = work.rows(STORED.where(*_OPEN_COPIES, *which).order_by(Request.id))
    return [row for row in map(of, rows) if asks(row, CopyBody)]


def names_to_copy(work: Work) -> frozenset[str]:
    """Return what open copies name: datasets, or single blocks in full."""
    of_system = (*_OPEN_COPIES, Request.origin != Origin.CALLER)
    found = set(work.scalars(select(Request.dataset).where(*of_system)))
    for request in open_copies(work):
        found.update(request.body.blocks or [request.dataset])
    return frozenset(found)
