"""Stop switches."""

from flask import Response, request
from flask_restx import Resource

from api import decoding, queries
from api import openapi as docs
from api import responses as answers
from api.auth import caller
from api.context import use
from dynamo.inventory import schemas as asked
from dynamo.services.sites import switches


class Switches(Resource):  # type: ignore[misc]
    """All switches."""

    @docs.pages()
    def get(self) -> Response:
        """List what can be stopped and what is; all are on one page."""
        queries.known("limit", "cursor")
        return answers.ok({"items": switches.all_of_them(use()), "next": None})


class Switch(Resource):  # type: ignore[misc]
    """One switch."""

    def get(self, name: str) -> Response:
        """Show a switch."""
        queries.known()
        return answers.ok(switches.show(use(), name))

    @docs.body(asked.SwitchBody)
    def put(self, name: str) -> Response:
        """Stop or release; it holds from the answer on."""
        queries.known()
        body = decoding.body(request, asked.SwitchBody)
        return answers.ok(switches.put(use(), name, body, caller()))


docs.ns.add_resource(Switches, "/switches", endpoint="switches")
docs.ns.add_resource(Switch, "/switches/<name>", endpoint="switch")
