"""Requests as others see them.

State, progress, and for what is not done yet, why and when it is tried next.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from msgspec import structs
from sqlalchemy import bindparam, select

from dynamo.clock import rfc3339
from dynamo.db import requests as request_rows
from dynamo.db.catalogue import names as catalogue_names
from dynamo.db.engine.expressions import Condition
from dynamo.db.engine.pagination import fits
from dynamo.db.engine.unit_of_work import Work, retried
from dynamo.db.requests import RequestRow
from dynamo.db.tables import Dataset, Deletion, File, Request, Site, Transfer, User
from dynamo.errors import NotFound
from dynamo.inventory.globs import Glob
from dynamo.inventory.request_bodies import InjectionBody, RequestBody
from dynamo.inventory.states import ENDED, Origin, RequestKind, RequestState
from dynamo.operations.failures import proves_nothing_uploaded
from dynamo.operations.lifecycle import OPEN, State
from dynamo.services.context import Context
from dynamo.services.copies import queries as copy_queries
from dynamo.services.copies.request import CopyRequest
from dynamo.services.requests import blockers, forecast
from dynamo.services.requests import problems as request_problems
from dynamo.services.requests.problems import MOST, Problem, troubled

_CHUNK = 1000
_SETTLED = frozenset({"available", "failed"})
_FILE_STATES = {
    State.QUEUED: "expected",
    State.ACTIVE: "copying",
    State.HELD: "held",
    State.FAILED: "failed",
    State.CANCELLED: "failed",
    State.DONE: "available",
}


_REQUESTS = request_rows.STORED.add_columns(User.name).join(User, User.id == Request.owner_id)
_ONE = _REQUESTS.where(Request.id == bindparam("by_id"), Request.kind == bindparam("by_kind"))
_FILES = (
    select(
        File.lfn,
        Transfer.state,
        Transfer.upload,
        Transfer.site_id,
        Transfer.confirmed,
        Transfer.reason,
        Transfer.not_before,
        Transfer.updated,
    )
    .join(Transfer, Transfer.file_id == File.id)
    .where(Transfer.kind != "copy")
    .order_by(File.id)
)
_OWN_FILES = _FILES.where(Transfer.request_id == bindparam("by_id"))
_SITES = select(Site.id, Site.name, Site.url, Site.rules).where(
    Site.id.in_(bindparam("by_ids", expanding=True))
)


_TROUBLED = tuple(
    troubled(table, table.request_id).where(
        table.request_id.in_(bindparam("by_ids", expanding=True))
    )
    for table in (Transfer, Deletion)
)
_KNOWN_TROUBLED = troubled(Transfer, Transfer.file_id).where(
    Transfer.file_id.in_(bindparam("by_ids", expanding=True)), Transfer.kind != "copy"
)
"""What injections wait for that found their files registered: earlier ones have trouble with it."""
_AWAITED = (
    troubled(Transfer, Request.id.label("request_id"))
    .join(Dataset, Dataset.id == File.dataset_id)
    .join(Request, Request.dataset == Dataset.name)
    .where(
        Request.id.in_(bindparam("by_ids", expanding=True)),
        Request.state.not_in(tuple(ENDED)),
        File.condemned_by.is_(None),
        Transfer.kind != "copy",
    )
)
"""What closures wait for: files that injections of the same dataset have trouble with."""


@dataclass(frozen=True, slots=True)
class RequestFilter:
    """Which requests are wanted."""

    state: str | None = None
    dataset: Glob | None = None
    owner: Glob | None = None


def get(ctx: Context, kind: RequestKind, request_id: int) -> dict[str, object]:
    """Return one request; of an injection also its files with their addresses."""
    with ctx.begin.reading() as work:
        row = work.row(_ONE, {"by_id": request_id, "by_kind": kind})
        if row is None:
            raise NotFound(f"there is no {kind} {request_id}")
        request = request_rows.of(row)
        wanted = _copy_requests(work, ctx, kind, [request])
        problems = _problems(work, kind, [request], wanted)
        shown = _object(request, str(row[-1]), problems.get(request_id, []))
        if request_rows.asks(request, InjectionBody):
            files = _files(work, ctx, request)
            shown["files"] = files
            _count_known(shown, request, files)
        if kind == RequestKind.COPY:
            end = forecast.expected_end(work, request, wanted.get(request_id))
            shown["expected_end"] = None if end is None else rfc3339(end)
        return shown


def as_filed(
    filed: request_rows.NewRequest, request_id: int, owner: str, now: datetime
) -> dict[str, object]:
    """Return a request that was filed at this moment, as `get` would."""
    return _object(filed.row(request_id, now), owner, [])


def list_page(
    ctx: Context, kind: RequestKind, filters: RequestFilter, cursor: int | None, limit: int
) -> tuple[list[dict[str, object]], int | None]:
    """Return a page of requests, newest first, and the cursor of the next."""
    with ctx.begin.reading() as work:
        wanted = _REQUESTS.where(Request.kind == kind, *_conditions(work, filters))
        if cursor is not None:
            wanted = wanted.where(Request.id < cursor)
        found = work.rows(wanted.order_by(Request.id.desc()).limit(limit + 1))
        shown = [request_rows.of(row) for row in found[:limit]]
        problems = _problems(work, kind, shown, _copy_requests(work, ctx, kind, shown))
        items = [
            _object(request, str(row[-1]), problems.get(request.id, []))
            for request, row in zip(shown, found, strict=False)
        ]
        return items, shown[-1].id if len(found) > limit else None


@retried
def refresh(ctx: Context, request_ids: Sequence[int]) -> None:
    """Bring injections that wait for files of earlier ones in line with them."""
    with ctx.begin() as work:
        for request_id in request_ids:
            request = request_rows.locked(work, request_id, InjectionBody)
            if request is None or request.state in ENDED:
                continue
            pending = request.body.pending
            states = catalogue_names.arrival_states(work, pending)
            left = tuple(file for file in pending if states.get(file) in OPEN)
            done = sum(states.get(file) == State.DONE for file in pending)
            again = work.now + ctx.again if left else None
            request_rows.ask_otherwise(
                work,
                request_id,
                structs.replace(request.body, pending=left),
                n_done=request.n_done + done,
                n_failed=request.n_failed + len(pending) - len(left) - done,
                not_before=again,
            )
        request_rows.settle_injections(work, request_ids)


def _conditions(work: Work, filters: RequestFilter) -> list[Condition]:
    states = [Request.state == filters.state] if filters.state is not None else []
    globs = ((Request.dataset, filters.dataset), (User.name, filters.owner))
    return states + [fits(work, column, glob) for column, glob in globs if glob is not None]


def _object(
    row: RequestRow[RequestBody], owner: str, problems: list[dict[str, object]]
) -> dict[str, object]:
    shown: dict[str, object] = {
        "id": row.id,
        "kind": row.kind,
        "state": row.state,
        "owner": owner,
        "dataset": row.dataset,
        "created": rfc3339(row.created),
        "updated": rfc3339(row.updated),
        "progress": {
            "files": {"total": row.n_files, "done": row.n_done, "failed": row.n_failed},
            "bytes": {"total": row.bytes, "done": row.bytes_done},
        },
        "problems": problems,
        "links": {
            "self": f"/v1/{_PLURAL[row.kind]}/{row.id}",
            "dataset": f"/v1/datasets{row.dataset}",
        },
    }
    if row.reason is not None:
        shown["reason"] = row.reason
        shown["detail"] = row.detail
    return shown | _request_fields(row)


def _request_fields(row: RequestRow[RequestBody]) -> dict[str, object]:
    """Return what a request asks, as far as it is shown."""
    if row.origin != Origin.CALLER:
        return dict(_OF_SYSTEM.get((row.kind, row.origin), _NAMES_NOTHING[row.kind]))
    values = {name: getattr(row.body, name) for name in _SHOWN.get(row.kind, ())}
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in values.items()
        if value is not None
    }


_PLURAL = {
    "injection": "injections",
    "copy": "copies",
    "closure": "closures",
    "deletion": "deletions",
    "staging": "stagings",
}
_SHOWN = {
    "copy": ("sites", "chosen", "refused", "copies", "consolidate", "spread", "blocks", "group"),
    "deletion": ("site", "blocks", "last_copy"),
}
_NAMES_NOTHING: Mapping[RequestKind, Mapping[str, object]] = {
    RequestKind.COPY: {"sites": [], "consolidate": False},
    RequestKind.DELETION: {"blocks": [], "last_copy": False},
}
"""What the system's own requests name: what they are about is seen at what they send or remove."""
_OF_SYSTEM: Mapping[tuple[RequestKind, Origin], Mapping[str, object]] = {
    (RequestKind.COPY, Origin.REPAIR): {"sites": []},
}


def _copy_requests(
    work: Work, ctx: Context, kind: RequestKind, requests: Sequence[RequestRow[RequestBody]]
) -> Mapping[int, CopyRequest]:
    """Return what those of the requests want that are copies."""
    ids = [request.id for request in requests] if kind == RequestKind.COPY else ()
    return copy_queries.read_many(work, ctx.settings.dealer, ids)


def _problems(
    work: Work,
    kind: RequestKind,
    requests: Sequence[RequestRow[RequestBody]],
    wanted: Mapping[int, CopyRequest],
) -> dict[int, list[dict[str, object]]]:
    """List, by request, what did not go well so far and when it is tried next."""
    found: dict[int, list[dict[str, object]]] = {}
    for statement in (_AWAITED,) if kind == RequestKind.CLOSURE else _TROUBLED:
        ids = {"by_ids": [request.id for request in requests]}
        for request_id, problem in request_problems.found(work, statement, ids):
            found.setdefault(request_id, []).append(_problem(problem))
    for request_id, problem in blockers.troubles(work, list(wanted.values())):
        found.setdefault(request_id, []).append(_problem(problem))
    if kind == RequestKind.INJECTION:
        for request_id, problem in _problems_of_known(work, requests):
            found.setdefault(request_id, []).append(_problem(problem))
    return found


def _problems_of_known(
    work: Work, injections: Sequence[RequestRow[RequestBody]]
) -> Iterator[tuple[int, Problem]]:
    """Yield what did not go well with files that were registered when an injection came."""
    waiting: dict[int, list[int]] = {}
    for injection in injections:
        if request_rows.asks(injection, InjectionBody) and injection.state not in ENDED:
            for file in injection.body.pending:
                waiting.setdefault(file, []).append(injection.id)
    ids, n = list(waiting), 0
    for start in range(0, len(ids), _CHUNK):
        some = {"by_ids": ids[start : start + _CHUNK]}
        problems = list(request_problems.found(work, _KNOWN_TROUBLED, some))
        yield from ((key, problem) for file, problem in problems for key in waiting[file])
        n += len(problems)
        if n >= MOST:
            return


def _problem(row: Problem) -> dict[str, object]:
    return {
        "lfn": row.lfn,
        "site": row.site,
        "reason": row.reason,
        "detail": row.error,
        "attempts": row.attempts,
        "next_try": rfc3339(row.not_before) if row.not_before else None,
    }


def _files(work: Work, ctx: Context, row: RequestRow[InjectionBody]) -> list[dict[str, object]]:
    """List the files of an injection, also those that earlier ones had registered."""
    known = row.body.known
    if known:
        either = (Transfer.request_id == row.id) | Transfer.file_id.in_(known)
        found = work.read(_File, _FILES.where(either))
    else:
        found = work.read(_File, _OWN_FILES, {"by_id": row.id})
    sites = {
        key: (name, ctx.storages.at(url, rules).pfn)
        for key, name, url, rules in work.rows(
            _SITES, {"by_ids": list({file.site_id for file in found})}
        )
    }
    return [
        file_object(*sites[file.site_id], file.lfn, State(file.state), _address(file))
        for file in found
    ]


class _File(NamedTuple):
    lfn: str
    state: str
    upload: str | None
    site_id: int
    confirmed: bool
    reason: str | None
    not_before: datetime | None
    updated: datetime


def _address(row: _File) -> str | None:
    """Return where a job shall write; what is confirmed must not be written over any more."""
    refuted = proves_nothing_uploaded(row.reason, row.not_before, row.updated)
    return row.upload if refuted or not row.confirmed else None


def file_object(
    site: str, pfn: Callable[[str], str], lfn: str, state: State, upload: str | None
) -> dict[str, object]:
    """Return a file of an injection at its site, whose addresses `pfn` makes."""
    done = state == State.DONE
    return {
        "lfn": lfn,
        "site": site,
        "pfn": pfn(lfn),
        "upload_url": None if upload is None or done else pfn(upload),
        "state": _FILE_STATES[state],
        "safe_to_delete": done,
    }


def _count_known(
    shown: dict[str, Any], row: RequestRow[InjectionBody], files: Sequence[dict[str, object]]
) -> None:
    """Count files of earlier injections as they are at this moment.

    Not as they were last looked at.
    """
    if not row.body.pending or row.state in ENDED:
        return
    available = sum(file["state"] == "available" for file in files)
    done = shown["progress"]["files"]
    done["done"] = max(done["done"], available)
    if available == row.n_files:
        shown["state"] = RequestState.DONE
        return
    left = {file["lfn"]: file["state"] for file in files if file["state"] not in _SETTLED}
    if not left or set(left.values()) != {"held"}:
        shown["state"] = RequestState.RUNNING
        for name in ("reason", "detail"):
            shown.pop(name, None)
        return
    why = next((one for one in shown["problems"] if one["lfn"] in left), None)
    if why is not None:
        shown |= {"state": RequestState.HELD, "reason": why["reason"], "detail": why["detail"]}
