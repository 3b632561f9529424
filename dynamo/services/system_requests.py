"""Unasked: requests that the system files itself, so that what it does is watched like all else."""

from collections.abc import Mapping

from dynamo.db import requests
from dynamo.db.catalogue import users
from dynamo.db.engine.unit_of_work import Work
from dynamo.db.requests import NewRequest
from dynamo.inventory.states import RequestKind, RequestState
from dynamo.services.context import Context

SYSTEM = "dynamo"
"""Who files what nobody asked for."""
_NOTHING: Mapping[RequestKind, Mapping[str, object]] = {
    RequestKind.COPY: {"sites": [], "consolidate": False},
    RequestKind.DELETION: {
        "files": None,
        "blocks": [],
        "whole": False,
        "site": None,
        "last_copy": False,
    },
}
"""What such a request names: what it is about is sent or condemned under it later."""


def file(work: Work, ctx: Context, kind: RequestKind, **cause: object) -> int:
    """File a copy or a deletion that goes on already, with its cause; return its key."""
    filed = NewRequest(
        kind,
        users.register(work, SYSTEM, 0),
        "",
        {**_NOTHING[kind], **cause},
        not_before=work.now + ctx.again,
        state=RequestState.RUNNING,
    )
    return requests.add(work, filed)
