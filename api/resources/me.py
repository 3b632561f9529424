"""Who is asking."""

from flask import Response
from flask_restx import Resource

from api import openapi as docs
from api import queries
from api import responses as answers
from api.auth import caller
from api.context import use
from dynamo.services.accounts import whoami as me


class Me(Resource):  # type: ignore[misc]
    """The caller."""

    def get(self) -> Response:
        """Show which user the caller is, and below which folder that user's files are named."""
        queries.known()
        return answers.ok(me.show(use(), caller()))


docs.ns.add_resource(Me, "/me", endpoint="me")
