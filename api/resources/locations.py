"""Locations: where jobs can read data now."""

from flask import Response, request
from flask_restx import Resource

from api import decoding, queries
from api import openapi as docs
from api import responses as answers
from api.context import use
from dynamo.inventory import schemas as asked
from dynamo.services.catalogue import locations


class Locations(Resource):  # type: ignore[misc]
    """Sites with complete disk copies, per block."""

    @docs.pages("dataset")
    def get(self) -> Response:
        """Show where a dataset, or those that fit, can be read."""
        queries.known("dataset", "limit", "cursor")
        name = queries.glob("dataset")
        if name is None:
            queries.refuse("dataset", "is missing")
        return answers.page(locations.some(use(), name, queries.place()))

    @docs.body(asked.Places)
    def post(self) -> Response:
        """Show where up to 1 000 datasets can be read."""
        queries.known()
        wanted = decoding.body(request, asked.Places | asked.Names)
        named = wanted.datasets if isinstance(wanted, asked.Places) else wanted
        return answers.page(locations.of(use(), named))


docs.ns.add_resource(Locations, "/locations", endpoint="locations")
