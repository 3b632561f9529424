"""Health: no token needed."""

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
        """Say how things are: 200 also when all is only slower; 503 without database."""
        found = health.check(context(), queues())
        answer = responses.ok(found.item(), 200 if found.database else 503)
        if not found.database:
            answer.headers["Retry-After"] = RETRY_AFTER
        return answer


openapi.ns.add_resource(Health, "/health", endpoint="health")
