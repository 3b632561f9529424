"""Requests that the system files itself, so that what it does is watched like all else."""

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
    """File a copy or a deletion that goes on already; return its id.

    What it is about is sent or condemned under it later.
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
    """A file that is missing or bad at a site."""

    dataset: str
    lfn: str
    site: str
    bytes: int


def file_repair(work: Work, ctx: Context, repaired: RepairedFile) -> int:
    """File the copy that brings a file to its site again; return its id."""
    return _file_repair(work, repaired, not_before=work.now + ctx.again)


def file_failed_repair(work: Work, repaired: RepairedFile) -> int:
    """File the copy of a file that can be read nowhere any more, as failed; return its id."""
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
