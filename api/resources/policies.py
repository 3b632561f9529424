"""Policies: one text per partition."""

from flask import Response, request
from flask_restx import Resource

from api import decoding, openapi, queries, responses
from api.auth import caller
from api.context import context
from dynamo.inventory import schemas
from dynamo.services.policies import policies
from dynamo.services.policies.versions import VersionedTexts


def text_of(texts: VersionedTexts, partition: str) -> Response:
    """Answer with the text in force, an earlier version, or a page of all versions."""
    queries.known("version", "versions", "limit", "cursor")
    if "versions" in request.args:
        return responses.page(texts.versions(context(), partition, queries.place()))
    return responses.ok(texts.get(context(), partition, queries.number("version")))


class Policy(Resource):  # type: ignore[misc]
    """The policy of a partition."""

    @openapi.pages("version", "versions")
    def get(self, partition: str) -> Response:
        """Show the policy in force, an earlier version, or the list of versions."""
        return text_of(policies.TEXTS, partition)

    @openapi.body(schemas.PolicyBody)
    def put(self, partition: str) -> Response:
        """Put a policy in force; a policy with errors is refused, and the old one stays."""
        queries.known()
        body = decoding.body(request, schemas.PolicyBody)
        return responses.ok(policies.update(context(), partition, body, caller()))


openapi.ns.add_resource(Policy, "/policies/<partition>", endpoint="policy")
