"""The request id: from the call or new, in every response and in the logs of its work."""

import re
import time
import uuid
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from dynamo.logs import logger, tracing

if TYPE_CHECKING:
    from _typeshed import OptExcInfo
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

HEADER = "X-Request-ID"
_WELL_FORMED = re.compile(r"[A-Za-z0-9._-]{1,100}", re.ASCII)

log = logger("api")


def request_id(given: str | None) -> str:
    """Return the caller's id if it is well-formed, else a new one."""
    return given if given and _WELL_FORMED.fullmatch(given) else uuid.uuid4().hex


class Traced:
    """The application; each call runs under its request id."""

    def __init__(self, app: "WSGIApplication") -> None:
        self._app = app

    def __call__(self, environ: "WSGIEnvironment", start: "StartResponse") -> Iterable[bytes]:
        """Answer one call."""
        name = request_id(environ.get("HTTP_X_REQUEST_ID"))
        began = time.perf_counter()

        def starting(
            status: str, headers: list[tuple[str, str]], error: "OptExcInfo | None" = None, /
        ) -> Callable[[bytes], object]:
            log.info(
                "call",
                method=environ.get("REQUEST_METHOD"),
                path=environ.get("PATH_INFO", "")[:500],
                status=int(status[:3]),
                seconds=round(time.perf_counter() - began, 4),
            )
            return start(status, [*headers, (HEADER, name)], error)

        with tracing(name):
            return self._app(environ, starting)
