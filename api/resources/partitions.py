"""Partitions: named shares of storage."""

from flask import Response, request
from flask_restx import Resource

from api import decoding, queries
from api import openapi as docs
from api import responses as answers
from api.auth import caller
from api.context import use
from dynamo.inventory import schemas as asked
from dynamo.services.accounts import partitions


class Partitions(Resource):  # type: ignore[misc]
    """All partitions."""

    @docs.pages()
    def get(self) -> Response:
        """List partitions with their sums; there are a handful, so all are on one page."""
        queries.known("limit", "cursor")
        return answers.ok({"items": partitions.all_of_them(use()), "next": None})


class Partition(Resource):  # type: ignore[misc]
    """One partition."""

    def get(self, name: str) -> Response:
        """Show a partition, over all sites together and at each."""
        queries.known()
        return answers.ok(partitions.show(use(), name))

    @docs.body(asked.PartitionBody)
    def put(self, name: str) -> Response:
        """Say whether a policy may delete the last complete copy of valid data."""
        queries.known()
        body = decoding.body(request, asked.PartitionBody)
        return answers.ok(partitions.put(use(), name, body, caller()))


docs.ns.add_resource(Partitions, "/partitions", endpoint="partitions")
docs.ns.add_resource(Partition, "/partitions/<name>", endpoint="partition")
