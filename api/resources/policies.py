"""Policies: what is kept and what is deleted, one text per partition."""

from flask import Response, request
from flask_restx import Resource

from api import decoding, queries
from api import openapi as docs
from api import responses as answers
from api.auth import caller
from api.context import use
from dynamo.inventory import schemas as asked
from dynamo.services.policies import policies


class Policy(Resource):  # type: ignore[misc]
    """The policy of a partition."""

    @docs.pages("version", "versions")
    def get(self, partition: str) -> Response:
        """Show the policy in force, an earlier version, or how it came about."""
        queries.known("version", "versions", "limit", "cursor")
        if "versions" in request.args:
            return answers.page(policies.versions(use(), partition, queries.place()))
        return answers.ok(policies.show(use(), partition, queries.number("version")))

    @docs.body(asked.PolicyBody)
    def put(self, partition: str) -> Response:
        """Put a policy in force; one with an error is refused, and the old one stays."""
        queries.known()
        body = decoding.body(request, asked.PolicyBody)
        return answers.ok(policies.put(use(), partition, body, caller()))


docs.ns.add_resource(Policy, "/policies/<partition>", endpoint="policy")
