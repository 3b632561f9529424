"""Releases: retries of held and failed operations."""

from flask import Response, request
from flask_restx import Resource

from api import decoding, openapi, queries, responses
from api.auth import caller
from api.context import context
from dynamo.inventory import schemas
from dynamo.services import retry


class Releases(Resource):  # type: ignore[misc]
    """Held and failed operations."""

    @openapi.body(schemas.Release)
    def post(self) -> Response:
        """Retry the held and failed operations of a request, a site or a dataset."""
        queries.known()
        wanted = decoding.body(request, schemas.Release)
        return responses.ok(retry.release(context(), wanted, caller()))


openapi.ns.add_resource(Releases, "/releases", endpoint="releases")
