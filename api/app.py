"""The Flask application: routes, tokens, problems, request ids and metrics."""

import time

from flask import Blueprint, Flask, Response, g, request
from flask_restx import Api

from api import (
    auth,
    certificate,
    client,
    decoding,
    metrics,
    openapi,
    openapi_responses,
    problems,
    wlcg,
)
from api.context import equip
from api.resources import (
    accesses,
    blocks,
    closures,
    copies,
    cycles,
    datasets,
    deletions,
    demands,
    files,
    health,
    history,
    injections,
    locations,
    locks,
    me,
    partitions,
    policies,
    quotas,
    releases,
    replicas,
    rules,
    scans,
    sites,
    switches,
)
from api.tracing import Traced
from dynamo import tokens
from dynamo.services.context import Context
from dynamo.services.maintenance.health import Queues
from dynamo.settings import Settings

RESOURCES = (
    injections,
    copies,
    closures,
    deletions,
    datasets,
    blocks,
    files,
    replicas,
    locations,
    sites,
    partitions,
    quotas,
    me,
    history,
    switches,
    locks,
    accesses,
    demands,
    policies,
    rules,
    cycles,
    scans,
    releases,
    health,
)
"""The modules whose import declares the routes."""


class _Api(Api):  # type: ignore[misc]
    """Flask-RESTX without its own error handling: all errors become problem responses."""

    @property
    def __schema__(self) -> openapi_responses.Document:
        """Return the description of the interface, with every response of each call."""
        return openapi_responses.with_answers(super().__schema__)

    def error_router(self, original_handler: object, error: Exception) -> Response:
        """Leave errors to the application."""
        return original_handler(error)  # type: ignore[no-any-return, operator]


def create_app(ctx: Context, queues: Queues) -> Flask:
    """Return the application of one process."""
    app = Flask("dynamo", static_folder=None)
    app.config.update(
        MAX_CONTENT_LENGTH=decoding.MAX_BYTES
        + 1,  # a body without a length is cut off at this size
        PROPAGATE_EXCEPTIONS=False,
        RESTX_MASK_SWAGGER=False,
        RESTX_ERROR_404_HELP=False,
    )
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    equip(app, ctx, queues)
    problems.register(app)
    auth.register(app, _proofs(ctx.settings))
    _measure(app)
    client.register(app)
    _describe(app)
    app.wsgi_app = Traced(app.wsgi_app)  # type: ignore[assignment, method-assign]
    return app


def _proofs(settings: Settings) -> auth.Proofs:
    return auth.Proofs(
        auth.Verifier(tokens.public_key(settings.data), settings.token),
        wlcg.Issuers(settings.token),
        certificate.Certificates(settings.proxy),
    )


def _measure(app: Flask) -> None:
    durations = metrics.Durations()
    metrics.register(app, durations)

    def begin() -> None:
        g.began = time.perf_counter()

    def end(answer: Response) -> Response:
        seconds = time.perf_counter() - g.get("began", time.perf_counter())
        durations.observe(metrics.route(), request.method, answer.status_code, seconds)
        answer.headers.setdefault("Cache-Control", "no-store")
        answer.headers.setdefault("X-Content-Type-Options", "nosniff")
        return answer

    app.before_request_funcs.setdefault(None, []).insert(0, begin)
    app.after_request(end)


def _describe(app: Flask) -> None:
    v1 = Blueprint("v1", "dynamo.v1", url_prefix="/v1")
    api = _Api(
        v1,
        version="1",
        title=openapi.TITLE,
        description=openapi.DESCRIPTION,
        doc="/",
        authorizations=openapi.AUTHORIZATIONS,
        security="bearer",
        validate=False,
    )
    api.add_namespace(openapi.ns)
    app.register_blueprint(v1)
