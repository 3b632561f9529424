"""Accesses: counts of reads per dataset, site and day."""

from flask import Response, request
from flask_restx import Resource

from api import decoding, openapi, queries, responses
from api.context import context
from dynamo.inventory import schemas
from dynamo.services.popularity import accesses


class Accesses(Resource):  # type: ignore[misc]
    """Daily counts of a popularity service."""

    @openapi.bodies(schemas.AccessReport)
    def post(self) -> Response:
        """Report counts; a count of the same dataset, site and day is replaced."""
        queries.known()
        items = decoding.body(request, schemas.Accesses)
        return responses.ok({"reported": accesses.report(context(), items)})


openapi.ns.add_resource(Accesses, "/accesses", endpoint="accesses")
