"""Errors as `application/problem+json`, with statuses from `reasons.RECORDS`."""

from collections.abc import Mapping

import msgspec
from flask import Flask, Response
from werkzeug.exceptions import HTTPException
from werkzeug.routing import RequestRedirect

from dynamo.db.engine.unit_of_work import passes
from dynamo.errors import (
    DynamoError,
    Fault,
    Forbidden,
    Invalid,
)
from dynamo.logs import logger, trace
from dynamo.reasons import Reason

log = logger("api")

TYPE = "application/problem+json"
RETRY_AFTER = "5"
"""Seconds after which to repeat a call when a part is unavailable."""
_LONGEST = 2000


class Malformed(Invalid):
    """Not JSON, or useless JSON: correct the client."""

    default = Reason.BAD_REQUEST


class TooLarge(Invalid):
    """Too much for one call: send several."""

    default = Reason.TOO_LARGE


class Unauthenticated(Forbidden):
    """No valid token: get a new one."""

    default = Reason.UNAUTHENTICATED


REASON: dict[int, Reason] = {
    401: Reason.UNAUTHENTICATED,
    403: Reason.PERMISSION_DENIED,
    404: Reason.NOT_FOUND,
    413: Reason.TOO_LARGE,
    429: Reason.SERVICE_BUSY,
    500: Reason.INTERNAL,
    502: Reason.SERVICE_BUSY,
    503: Reason.SERVICE_BUSY,
    504: Reason.SERVICE_BUSY,
}
"""Reasons of the framework's errors; all others are `bad-request`."""

HEADERS: dict[int, Mapping[str, str]] = {
    401: {"WWW-Authenticate": 'Bearer realm="dynamo", error="invalid_token"'},
    429: {"Retry-After": RETRY_AFTER},
    503: {"Retry-After": RETRY_AFTER},
}

TITLES: dict[int, str] = {
    400: "Bad request",
    401: "Not authenticated",
    403: "Not permitted",
    404: "Not found",
    405: "Method not allowed",
    409: "Conflict with registered data",
    413: "Too large",
    415: "Send JSON",
    422: "Well-formed but invalid",
    429: "Too many requests",
    500: "A fault of the server",
    503: "Unavailable or busy; repeat later",
    507: "No space",
}


def problem(error: DynamoError) -> Response:
    """Return the response for one of Dynamo's errors.

    Its class says what the caller can do about it: the status is that of the class's default.
    """
    members: dict[str, object] = (
        {"errors": [_item(fault) for fault in error.faults]} if error.faults else {}
    )
    if error.alternatives is not None:
        members["alternatives"] = list(error.alternatives)
    return _answer(error.default.status, error.reason, error.detail, members)


def register(app: Flask) -> None:
    """Turn all errors of the application into problem responses."""
    app.register_error_handler(Exception, handle)


def handle(error: Exception) -> Response:
    """Return the response for any exception; details for operators go to the log."""
    if isinstance(error, RequestRedirect):
        return Response(status=error.code, headers={"Location": error.new_url})
    if isinstance(error, HTTPException):
        return _http(error)
    if isinstance(error, DynamoError) and error.default is not Reason.INTERNAL:
        return problem(error)
    if passes(error):
        log.warning("database away", error=_text(error))
        return _answer(
            503, Reason.SERVICE_BUSY, "the database is unavailable; repeat the call later", {}
        )
    log.error("unexpected", error=_text(error), exc_info=error)
    return _answer(
        500, Reason.INTERNAL, "the server failed; its log has details under the request id", {}
    )


def _http(error: HTTPException) -> Response:
    status = error.code or 500
    detail = error.description or TITLES.get(status, "") if status < 500 else TITLES[500]
    answer = _answer(status, REASON.get(status, Reason.BAD_REQUEST), str(detail), {})
    allowed = getattr(error, "valid_methods", None)
    if allowed:
        answer.headers["Allow"] = ", ".join(sorted(allowed))
    return answer


def _answer(status: int, reason: Reason, detail: str, more: Mapping[str, object]) -> Response:
    members = {
        "type": f"urn:dynamo:problem:{reason}",
        "title": TITLES.get(status, "Error"),
        "status": status,
        "detail": _printable(detail)[:_LONGEST],
        "reason": reason,
        "retryable": reason.retryable,
        "request_id": trace(),
        **more,
    }
    return Response(
        msgspec.json.encode(members),
        status=status,
        mimetype=TYPE,
        headers=dict(HEADERS.get(status, {})),
    )


def _item(fault: Fault) -> dict[str, str | int]:
    told = {"pointer": fault.pointer, "detail": _printable(fault.detail)}
    lfn = {} if fault.lfn is None else {"lfn": _printable(fault.lfn)}
    position = {"line": fault.line, "column": fault.column}
    return {**told, **lfn, **{name: n for name, n in position.items() if n is not None}}


def _printable(text: str) -> str:
    # a lone surrogate, which a hostile name may contain, has no UTF-8 form
    return text.encode("utf-8", "backslashreplace").decode()


def _text(error: Exception) -> str:
    return _printable(str(error))[:_LONGEST]
