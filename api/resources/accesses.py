"""Accesses: how often data are read."""

from flask import Response, request
from flask_restx import Resource

from api import decoding, queries
from api import openapi as docs
from api import responses as answers
from api.context import use
from dynamo.inventory import schemas as asked
from dynamo.services.popularity import accesses


class Accesses(Resource):  # type: ignore[misc]
    """Daily counts of a popularity service."""

    @docs.bodies(asked.AccessReport)
    def post(self) -> Response:
        """Report counts; those of the same dataset, site and day are replaced."""
        queries.known()
        items = decoding.body(request, asked.Accesses)
        return answers.ok({"reported": accesses.report(use(), items)})


docs.ns.add_resource(Accesses, "/accesses", endpoint="accesses")
