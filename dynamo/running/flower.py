"""Flower with all of its pages closed: `python -m dynamo.running.flower`, then words as for Celery.

Its own `basic_auth` leaves `/metrics` and `/healthcheck` open to whoever reaches the port, and
they tell tasks, workers and queues. It has no setting for that.
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
    """What asks for the password before anything else is done."""

    def prepare(self) -> Any:
        """Go on only where somebody is known. Raises 401 elsewhere."""
        BaseHandler.get_current_user(self)
        return super().prepare()  # type: ignore[misc]


def closed(routes: Iterable[Any]) -> Iterator[URLSpec]:
    """Yield routes that show nothing without the password, however they were declared."""
    for route in routes:
        spec = route if isinstance(route, URLSpec) else url(*route)
        if spec.handler_class is not LoginHandler:  # it makes others in its place, and is for OAuth
            yield _closed(spec)


def _closed(spec: URLSpec) -> URLSpec:
    return url(spec.regex.pattern, _asking(spec.handler_class), spec.kwargs, spec.name)


def _asking(kind: type[RequestHandler]) -> type[RequestHandler]:
    return type(kind.__name__, (Closed, kind), {})


def main() -> None:
    """Run Flower until told to stop."""
    handlers[:] = closed(list(handlers))
    settings["static_handler_class"] = _asking(StaticFileHandler)  # for the routes Tornado adds
    celery()


if __name__ == "__main__":
    main()
