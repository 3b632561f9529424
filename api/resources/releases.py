"""Releases: what was held or given up is tried again."""

from flask import Response, request
from flask_restx import Resource

from api import decoding, queries
from api import openapi as docs
from api import responses as answers
from api.auth import caller
from api.context import use
from dynamo.inventory import schemas as asked
from dynamo.services import retry as releases


class Releases(Resource):  # type: ignore[misc]
    """Operations that wait or have failed."""

    @docs.body(asked.Release)
    def post(self) -> Response:
        """Try again what was held or failed, of a request, a site or a dataset."""
        queries.known()
        wanted = decoding.body(request, asked.Release)
        return answers.ok(releases.release(use(), wanted, caller()))


docs.ns.add_resource(Releases, "/releases", endpoint="releases")
