"""Demands: jobs that wait for data."""

from flask import Response, request
from flask_restx import Resource

from api import decoding, openapi, queries, responses
from api.auth import caller
from api.context import context
from dynamo.inventory import schemas
from dynamo.services.popularity import demands


class Demands(Resource):  # type: ignore[misc]
    """Waiting jobs of a batch system."""

    @openapi.bodies(schemas.DemandReport)
    def post(self) -> Response:
        """Report waiting jobs; a report of the same caller, dataset and time is replaced."""
        queries.known()
        items = decoding.body(request, schemas.Demands)
        return responses.ok({"reported": demands.report(context(), items, caller())})


openapi.ns.add_resource(Demands, "/demands", endpoint="demands")
