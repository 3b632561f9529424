"""Block replicas."""

from flask import Response
from flask_restx import Resource

from api import openapi, queries, responses
from api.context import context
from dynamo.services.catalogue import replicas
from dynamo.services.catalogue.replicas import ReplicaFilter


class Replicas(Resource):  # type: ignore[misc]
    """All block replicas."""

    @openapi.pages("dataset", "site", "group")
    def get(self) -> Response:
        """List block replicas."""
        queries.known("dataset", "site", "group", "limit", "cursor")
        wanted = ReplicaFilter(
            queries.glob("dataset"), queries.glob("site"), queries.exact("group")
        )
        return responses.page(replicas.list_page(context(), wanted, queries.place()))


openapi.ns.add_resource(Replicas, "/replicas", endpoint="replicas")
