"""Flower with a password on all pages: `python -m dynamo.running.flower`, then words as for Celery.

Flower's own `basic_auth` leaves `/metrics` and `/healthcheck` open, which show tasks, workers and
queues. Flower has no setting to close them.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from celery.__main__ import main as celery
from flower.urls import handlers, settings
from flower.views import BaseHandler
from flower.views.auth import LoginHandler
from tornado.routing import URLSpec
from tornado.web import RequestHandler, StaticFileHandler, url


class Closed:
    """Asks for the password before each request."""

    def prepare(self) -> Any:
        """Go on for authenticated users. Raises 401 for others."""
        BaseHandler.get_current_user(self)
        return super().prepare()  # type: ignore[misc]


def closed(routes: Iterable[Any]) -> Iterator[URLSpec]:
    """Yield the routes, closed without the password, however they were declared."""
    for route in routes:
        spec = route if isinstance(route, URLSpec) else url(*route)
        if spec.handler_class is not LoginHandler:  # creates other handlers; only for OAuth
            yield _closed(spec)


def _closed(spec: URLSpec) -> URLSpec:
    return url(spec.regex.pattern, _asking(spec.handler_class), spec.kwargs, spec.name)


def _asking(kind: type[RequestHandler]) -> type[RequestHandler]:
    return type(kind.__name__, (Closed, kind), {})


def main() -> None:
    """Run Flower until stopped."""
    handlers[:] = closed(list(handlers))
    settings["static_handler_class"] = _asking(StaticFileHandler)  # for the routes Tornado adds
    celery()


if __name__ == "__main__":
    main()
