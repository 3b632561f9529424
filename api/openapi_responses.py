"""Adds the responses of each call to the description of the interface."""

from collections.abc import Iterator
from typing import Any

import msgspec

from api import problems
from api.openapi import Problem

Document = dict[str, Any]
"""A description of an interface by OpenAPI, or a part of one."""

FILED = {
    ("/locks", "post"): (200, 201),
    ("/cycles", "post"): (202,),
    ("/scans", "post"): (202,),
    ("/injections/{request_id}/uploaded", "post"): (202,),
    ("/quarantine/{number}", "delete"): (202,),
}
"""Success statuses where the framework assumes others."""

READING = (401, 403, 404, 422, 429, 503)
CHANGING = (400, 409, 413, 415, 507)
_OPEN = "/health"


def with_answers(described: Document) -> Document:
    """Return the description with all responses of all calls, changed in place."""
    _, schemas = msgspec.json.schema_components([Problem], ref_template="#/definitions/{name}")
    described["definitions"].update(schemas)
    for path, method, call in _calls(described):
        if path == _OPEN:
            call["responses"]["503"] = {"description": problems.TITLES[503]}
            continue
        declared = {int(status): answer for status, answer in call["responses"].items()}
        success = next(iter(declared.values()))
        statuses = dict.fromkeys(FILED.get((path, method), tuple(declared)), success)
        refusals = READING + (() if method == "get" else CHANGING)
        statuses |= {status: _refusal(status) for status in refusals}
        call["responses"] = {str(status): answer for status, answer in sorted(statuses.items())}
        call["produces"] = ["application/json", problems.TYPE]
    return described


def _calls(described: Document) -> Iterator[tuple[str, str, Document]]:
    for path, methods in described["paths"].items():
        for method, call in methods.items():
            if method != "parameters":
                yield path, method, call


def _refusal(status: int) -> Document:
    return {"description": problems.TITLES[status], "schema": {"$ref": "#/definitions/Problem"}}
