"""The description of the interface: Swagger page and schema, generated from the bodies."""

from collections.abc import Callable
from typing import TypeVar

import msgspec
from flask_restx import Namespace

from dynamo.inventory import schemas
from dynamo.reasons import Reason

TITLE = "Dynamo"
DESCRIPTION = (
    "Places petabytes of scientific data at the sites that need them. Errors are "
    "`application/problem+json` with a `reason` of this list: "
    + ", ".join(f"`{reason}`" for reason in Reason)
    + ". Lists take `limit` and `cursor`; names in filters may contain `*` and `?`. "
    "`GET /client.py` returns the client of job wrappers, one file that needs only Python 3.6."
)
AUTHORIZATIONS = {
    "bearer": {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": "`Bearer <JWT>`",
    }
}

BODIES = (
    schemas.Injection,
    schemas.Uploaded,
    schemas.Copy,
    schemas.Closure,
    schemas.Deletion,
    schemas.Places,
    schemas.SiteBody,
    schemas.QuotaBody,
    schemas.UserQuotaBody,
    schemas.SwitchBody,
    schemas.LockBody,
    schemas.AccessReport,
    schemas.DemandReport,
    schemas.PartitionBody,
    schemas.PolicyBody,
    schemas.CycleBody,
    schemas.ScanBody,
    schemas.Release,
    schemas.OfficialDataset,
    schemas.DatasetChange,
)


class ProblemItem(msgspec.Struct):
    """An item with an error."""

    pointer: str
    detail: str
    lfn: str | None = None
    line: int | None = None
    column: int | None = None


class Problem(msgspec.Struct):
    """The format of all errors."""

    type: str
    title: str
    status: int
    detail: str
    reason: Reason
    retryable: bool
    request_id: str
    errors: list[ProblemItem] = []
    alternatives: list[str] = []


ns = Namespace("v1", description="Version 1", path="/")

_SCHEMAS = msgspec.json.schema_components([*BODIES, Problem], ref_template="#/definitions/{name}")[
    1
]
MODELS = {name: ns.schema_model(name, schema) for name, schema in _SCHEMAS.items()}

Method = TypeVar("Method", bound=Callable[..., object])
Resource = TypeVar("Resource", bound=type)

PARAMETERS = {
    "ended": "`true`: ended incidents as well",
    "limit": "items per page: 1 to 1000, default 100",
    "cursor": "`next` of the previous page",
    "name": "name or pattern",
    "dataset": "dataset name or pattern",
    "block": "full block name, `<dataset>#<id>`",
    "lfn": "logical file name",
    "site": "site name or pattern",
    "group": "group name",
    "owner": "user name",
    "user": "user name or pattern",
    "status": "status of the dataset",
    "state": "state of the request",
    "kind": "`detox` or `dealer`; of incidents `lost`, `missing`, `corrupt`",
    "partition": "name of the partition",
    "version": "an earlier version instead of the one in force",
    "versions": "list all versions with their changes, newest first",
}


def query(*names: str) -> Callable[[Method], Method]:
    """Describe the query parameters of a call."""
    described = {name: {"description": PARAMETERS[name], "in": "query"} for name in names}
    decorate: Callable[[Method], Method] = ns.doc(params=described)
    return decorate


def pages(*names: str) -> Callable[[Method], Method]:
    """Describe the parameters of a list."""
    return query(*names, "limit", "cursor")


def body(kind: type) -> Callable[[Method], Method]:
    """Describe the body of a call; `decoding` reads and checks it."""
    decorate: Callable[[Method], Method] = ns.expect(MODELS[kind.__name__], validate=False)
    return decorate


def bodies(kind: type) -> Callable[[Method], Method]:
    """Describe the body of a call that takes a list."""
    decorate: Callable[[Method], Method] = ns.expect([MODELS[kind.__name__]], validate=False)
    return decorate


def filing(kind: type) -> Callable[[Resource], Resource]:
    """Describe the POST of a collection of requests, with its Idempotency-Key."""
    key = {"in": "header", "description": "the same key returns the first answer for 24 hours"}
    filed = {
        "expect": [MODELS[kind.__name__]],
        "validate": False,
        "params": {"Idempotency-Key": key},
        "responses": {"202": ("filed", None, {})},
    }
    decorate: Callable[[Resource], Resource] = ns.doc(post=filed)
    return decorate
