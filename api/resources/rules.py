"""Placement rules: how many copies there shall be where, one text per partition."""

from flask import Response, request
from flask_restx import Resource

from api import decoding, openapi, queries, responses
from api.auth import caller
from api.context import context
from dynamo.inventory import schemas
from dynamo.services.policies import placement_rules


class Rules(Resource):  # type: ignore[misc]
    """The placement rules of a partition."""

    @openapi.pages("version", "versions")
    def get(self, partition: str) -> Response:
        """Show the rules in force, an earlier version, or how they came about."""
        queries.known("version", "versions", "limit", "cursor")
        if "versions" in request.args:
            return responses.page(placement_rules.versions(context(), partition, queries.place()))
        return responses.ok(placement_rules.get(context(), partition, queries.number("version")))

    @openapi.body(schemas.PolicyBody)
    def put(self, partition: str) -> Response:
        """Put rules in force; those with an error are refused, and the old ones stay."""
        queries.known()
        body = decoding.body(request, schemas.PolicyBody)
        return responses.ok(placement_rules.update(context(), partition, body, caller()))


openapi.ns.add_resource(Rules, "/rules/<partition>", endpoint="rules")
