"""Placement rules: numbers of copies at sites, one text per partition."""

from flask import Response, request
from flask_restx import Resource

from api import decoding, openapi, queries, responses
from api.auth import caller
from api.context import context
from api.resources.policies import text_of
from dynamo.inventory import schemas
from dynamo.services.policies import placement_rules


class Rules(Resource):  # type: ignore[misc]
    """The placement rules of a partition."""

    @openapi.pages("version", "versions")
    def get(self, partition: str) -> Response:
        """Show the rules in force, an earlier version, or the list of versions."""
        return text_of(placement_rules.TEXTS, partition)

    @openapi.body(schemas.PolicyBody)
    def put(self, partition: str) -> Response:
        """Put rules in force; rules with errors are refused, and the old ones stay."""
        queries.known()
        body = decoding.body(request, schemas.PolicyBody)
        return responses.ok(placement_rules.update(context(), partition, body, caller()))


openapi.ns.add_resource(Rules, "/rules/<partition>", endpoint="rules")
