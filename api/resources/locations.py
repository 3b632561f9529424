"""Locations: sites where jobs can read data now."""

from flask import Response, request
from flask_restx import Resource

from api import decoding, openapi, queries, responses
from api.context import context
from dynamo.inventory import schemas
from dynamo.services.catalogue import locations


class Locations(Resource):  # type: ignore[misc]
    """Sites with complete disk copies, per block."""

    @openapi.pages("dataset")
    def get(self) -> Response:
        """Show the sites where a dataset, or all that match, can be read."""
        queries.known("dataset", "limit", "cursor")
        name = queries.glob("dataset")
        if name is None:
            queries.refuse("dataset", "is missing")
        return responses.page(locations.list_page(context(), name, queries.place()))

    @openapi.body(schemas.Places)
    def post(self) -> Response:
        """Show the sites where up to 1 000 datasets can be read."""
        queries.known()
        wanted = decoding.body(request, schemas.Places | schemas.Names)
        named = wanted.datasets if isinstance(wanted, schemas.Places) else wanted
        return responses.page(locations.get(context(), named))


openapi.ns.add_resource(Locations, "/locations", endpoint="locations")
