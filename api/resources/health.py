"""Health of the service; needs no token."""

from flask import Response
from flask_restx import Resource

from api import openapi, responses
from api.context import context, queues
from api.problems import RETRY_AFTER
from dynamo.services.maintenance import health


class Health(Resource):  # type: ignore[misc]
    """Database, broker, beat and queues."""

    @openapi.ns.doc(security=[])  # type: ignore[untyped-decorator]
    def get(self) -> Response:
        """Show the health: 200 if the service works, even slowly; 503 without the database."""
        status = health.check(context(), queues())
        answer = responses.ok(status.item(), 200 if status.database else 503)
        if not status.database:
            answer.headers["Retry-After"] = RETRY_AFTER
        return answer


openapi.ns.add_resource(Health, "/health", endpoint="health")
