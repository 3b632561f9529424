"""The caller."""

from flask import Response
from flask_restx import Resource

from api import openapi, queries, responses
from api.auth import caller
from api.context import context
from dynamo.services.accounts import whoami


class Me(Resource):  # type: ignore[misc]
    """The caller."""

    def get(self) -> Response:
        """Show the caller's user name, and the folder of that user's files."""
        queries.known()
        return responses.ok(whoami.get(context(), caller()))


openapi.ns.add_resource(Me, "/me", endpoint="me")
