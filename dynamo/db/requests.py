"""Requests in rows: filed, counted, ended."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any

from sqlalchemy import bindparam, func, select, update

from dynamo.db.catalogue import replicas
from dynamo.db.engine.unit_of_work import Work
from dynamo.db.tables import BlockReplica, Group, Request, Transfer
from dynamo.inventory.states import ENDED, RequestKind, RequestState, TransferKind
from dynamo.logs import trace
from dynamo.operations.lifecycle import State


@dataclass(frozen=True, slots=True)
class NewRequest:
    """A request that is about to be registered."""

    kind: RequestKind
    owner_id: int
    dataset: str
    body: Mapping[str, Any]
    n_files: int = 0
    bytes: int = 0
    not_before: datetime | None = None
    state: RequestState = RequestState.QUEUED
    n_done: int = 0


def add(work: Work, filed: NewRequest) -> int:
    """Register a request and return its id."""
    return work.add(
        Request,
        kind=filed.kind,
        state=filed.state,
        owner_id=filed.owner_id,
        dataset=filed.dataset,
        body=dict(filed.body),
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


def locked(work: Work, request_id: int) -> Any:
    """Lock a request and return its row, or None."""
    return work.row(
        select(*Request.__table__.columns).where(Request.id == request_id).with_for_update()
    )


def all_locked(work: Work, request_ids: Collection[int]) -> Sequence[Any]:
    """Lock requests, in one order, and return the rows of those that there are."""
    mine = select(*Request.__table__.columns).where(Request.id.in_(request_ids))
    return work.rows(mine.order_by(Request.id).with_for_update())


def get(work: Work, request_id: int) -> Any:
    """Return a request's row, or None."""
    return work.row(select(*Request.__table__.columns).where(Request.id == request_id))


def change(work: Work, request_id: int, **values: Any) -> bool:
    """Change a request that has not ended."""
    statement = update(Request).where(Request.id == request_id, Request.state.not_in(ENDED))
    return work.changed(statement.values(updated=work.now, **values)) == 1


def end(
    work: Work,
    request_id: int,
    state: RequestState,
    reason: str | None = None,
    detail: str | None = None,
) -> bool:
    """End a request for good.

    The reason that it had stands unless it is done or another is given.
    """
    said = (
        {"reason": reason, "detail": detail}
        if reason is not None or state == RequestState.DONE
        else {}
    )
    return change(work, request_id, state=state, not_before=None, **said)


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
    open_ones = work.rows(
        select(
            Request.id,
            Request.state,
            Request.body,
            Request.n_files,
            Request.n_done,
            Request.n_failed,
        )
        .where(
            Request.id.in_(request_ids),
            Request.kind == RequestKind.INJECTION,
            Request.state.not_in(ENDED),
        )
        .order_by(Request.id)
    )
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
            change(work, row.id, **_standing(work, row, left, held.get(row.id, 0)))


def _standing(work: Work, row: Any, left: int, held: int) -> dict[str, Any]:
    """Return how an injection stands: it rests when all that is left of it is held.

    Also what earlier ones are to bring.
    """
    pending = row.body.get("pending", [])
    resting = _held_files(work, pending) if pending and held + len(pending) >= left else ()
    if held + len(resting) >= left:
        why = work.row(_HELD, {"of_request": row.id}) or resting[0]
        return {"state": RequestState.HELD, "reason": why.reason, "detail": why.error}
    cause_is_gone = {"reason": None, "detail": None} if row.state == RequestState.HELD else {}
    return {"state": RequestState.RUNNING, **cause_is_gone}


_HELD = (
    select(Transfer.reason, Transfer.error)
    .where(Transfer.request_id == bindparam("of_request"), Transfer.state == State.HELD)
    .order_by(Transfer.id)
    .limit(1)
)


def _held_files(work: Work, file_ids: Sequence[int]) -> Sequence[Any]:
    """Return why those of these files rest that were to come and are held."""
    return work.rows(
        select(Transfer.file_id, Transfer.reason, Transfer.error)
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
    return {kind: [row.id for row in rows if row.kind == kind] for kind in kinds}


def keeping(work: Work, replica_ids: Collection[int]) -> set[int]:
    """Return the replicas whose owner an open copy request names for them: they stay with it."""
    owned = work.rows(
        replicas.described()
        .add_columns(Group.name.label("group"))
        .join(Group, Group.id == BlockReplica.group_id)
        .where(BlockReplica.id.in_(replica_ids))
    )
    of = Request.dataset.in_({row.dataset for row in owned})
    open_ones = (Request.kind == RequestKind.COPY, Request.state.not_in(ENDED), of)
    named: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for dataset, body in work.rows(select(Request.dataset, Request.body).where(*open_ones)):
        group = body.get("group")
        if isinstance(group, str):
            named.setdefault((dataset, group), []).append(body)
    return {
        row.id
        for row in owned
        if any(_means(body, row) for body in named.get((row.dataset, row.group), ()))
    }


def _means(body: Mapping[str, Any], replica: Any) -> bool:
    """Tell whether a copy request is about a block replica."""
    blocks = body.get("blocks")
    if blocks is not None and f"{replica.dataset}#{replica.uuid}" not in blocks:
        return False
    return any(fnmatchcase(replica.site, site) for site in body.get("chosen") or body["sites"])
