"""Stop switches."""

from flask import Response, request
from flask_restx import Resource

from api import decoding, openapi, queries, responses
from api.auth import caller
from api.context import context
from dynamo.inventory import schemas
from dynamo.services.sites import switches


class Switches(Resource):  # type: ignore[misc]
    """All switches."""

    @openapi.pages()
    def get(self) -> Response:
        """List all switches and their states; all are on one page."""
        queries.known("limit", "cursor")
        return responses.ok({"items": switches.list_all(context()), "next": None})


class Switch(Resource):  # type: ignore[misc]
    """One switch."""

    def get(self, name: str) -> Response:
        """Show a switch."""
        queries.known()
        return responses.ok(switches.get(context(), name))

    @openapi.body(schemas.SwitchBody)
    def put(self, name: str) -> Response:
        """Stop or start an activity, in force from the answer on."""
        queries.known()
        body = decoding.body(request, schemas.SwitchBody)
        return responses.ok(switches.update(context(), name, body, caller()))


openapi.ns.add_resource(Switches, "/switches", endpoint="switches")
openapi.ns.add_resource(Switch, "/switches/<name>", endpoint="switch")
