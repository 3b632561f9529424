"""Requests that the system files, so that its work is tracked like all other work."""

from dataclasses import dataclass
from datetime import datetime

from dynamo.db import requests
from dynamo.db.catalogue import users
from dynamo.db.engine.unit_of_work import Work
from dynamo.db.requests import NewRequest
from dynamo.inventory.callers import SYSTEM
from dynamo.inventory.request_bodies import SystemCopyBody, SystemDeletionBody
from dynamo.inventory.states import Origin, RequestState
from dynamo.services.context import Context


def file(
    work: Work, ctx: Context, origin: Origin, body: SystemCopyBody | SystemDeletionBody
) -> int:
    """File a running copy or deletion; return its id.

    Its data are sent or condemned under this request later.
    """
    filed = NewRequest(
        users.register(work, SYSTEM, 0),
        "",
        body,
        origin,
        not_before=work.now + ctx.again,
        state=RequestState.RUNNING,
    )
    return requests.add(work, filed)


@dataclass(frozen=True, slots=True)
class RepairedFile:
    """A missing or bad file at a site."""

    dataset: str
    lfn: str
    site: str
    bytes: int


def file_repair(work: Work, ctx: Context, repaired: RepairedFile) -> int:
    """File the copy that restores a file at its site; return its id."""
    return _file_repair(work, repaired, not_before=work.now + ctx.again)


def file_failed_repair(work: Work, repaired: RepairedFile) -> int:
    """File the copy of a file without a readable source, as failed; return its id."""
    return _file_repair(work, repaired, state=RequestState.FAILED)


def _file_repair(
    work: Work,
    repaired: RepairedFile,
    not_before: datetime | None = None,
    state: RequestState = RequestState.RUNNING,
) -> int:
    filed = NewRequest(
        users.register(work, SYSTEM, 0),
        repaired.dataset,
        SystemCopyBody(lfn=repaired.lfn, site=repaired.site),
        Origin.REPAIR,
        n_files=1,
        bytes=repaired.bytes,
        not_before=not_before,
        state=state,
    )
    return requests.add(work, filed)
