"""Partitions: named shares of storage."""

from flask import Response, request
from flask_restx import Resource

from api import decoding, openapi, queries, responses
from api.auth import caller
from api.context import context
from dynamo.inventory import schemas
from dynamo.services.accounts import partitions


class Partitions(Resource):  # type: ignore[misc]
    """All partitions."""

    @openapi.pages()
    def get(self) -> Response:
        """List partitions with their sums; all are on one page."""
        queries.known("limit", "cursor")
        return responses.ok({"items": partitions.list_all(context()), "next": None})


class Partition(Resource):  # type: ignore[misc]
    """One partition."""

    def get(self, name: str) -> Response:
        """Show a partition, in total and per site."""
        queries.known()
        return responses.ok(partitions.get(context(), name))

    @openapi.body(schemas.PartitionBody)
    def put(self, name: str) -> Response:
        """Set whether a policy may delete the last complete copy of valid data."""
        queries.known()
        body = decoding.body(request, schemas.PartitionBody)
        return responses.ok(partitions.update(context(), name, body, caller()))


openapi.ns.add_resource(Partitions, "/partitions", endpoint="partitions")
openapi.ns.add_resource(Partition, "/partitions/<name>", endpoint="partition")
