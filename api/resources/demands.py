"""Demands: jobs that wait for data."""

from flask import Response, request
from flask_restx import Resource

from api import decoding, queries
from api import openapi as docs
from api import responses as answers
from api.auth import caller
from api.context import use
from dynamo.inventory import schemas as asked
from dynamo.services.popularity import demands


class Demands(Resource):  # type: ignore[misc]
    """Waiting jobs of a batch system."""

    @docs.bodies(asked.DemandReport)
    def post(self) -> Response:
        """Report waiting jobs; those of the same caller, dataset and moment are replaced."""
        queries.known()
        items = decoding.body(request, asked.Demands)
        return answers.ok({"reported": demands.report(use(), items, caller())})


docs.ns.add_resource(Demands, "/demands", endpoint="demands")
