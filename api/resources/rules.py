"""Placement rules: how many copies there shall be where, one text per partition."""

from flask import Response, request
from flask_restx import Resource

from api import decoding, queries
from api import openapi as docs
from api import responses as answers
from api.auth import caller
from api.context import use
from dynamo.inventory import schemas as asked
from dynamo.services.policies import placement_rules as rules


class Rules(Resource):  # type: ignore[misc]
    """The placement rules of a partition."""

    @docs.pages("version", "versions")
    def get(self, partition: str) -> Response:
        """Show the rules in force, an earlier version, or how they came about."""
        queries.known("version", "versions", "limit", "cursor")
        if "versions" in request.args:
            return answers.page(rules.versions(use(), partition, queries.place()))
        return answers.ok(rules.show(use(), partition, queries.number("version")))

    @docs.body(asked.PolicyBody)
    def put(self, partition: str) -> Response:
        """Put rules in force; those with an error are refused, and the old ones stay."""
        queries.known()
        body = decoding.body(request, asked.PolicyBody)
        return answers.ok(rules.put(use(), partition, body, caller()))


docs.ns.add_resource(Rules, "/rules/<partition>", endpoint="rules")
