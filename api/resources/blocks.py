"""Blocks: the units that are placed, copied and deleted."""

from flask import Response
from flask_restx import Resource

from api import openapi, queries, responses
from api.context import context
from dynamo.services.catalogue import blocks


class Blocks(Resource):  # type: ignore[misc]
    """All blocks."""

    @openapi.pages("dataset", "block")
    def get(self) -> Response:
        """List blocks with their replicas."""
        queries.known("dataset", "block", "limit", "cursor")
        dataset, block = queries.glob("dataset"), queries.block("block")
        return responses.page(blocks.list_page(context(), dataset, block, queries.place()))


openapi.ns.add_resource(Blocks, "/blocks", endpoint="blocks")
