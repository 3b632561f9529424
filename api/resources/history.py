"""The history: events with their actors and reasons."""

from flask import Response
from flask_restx import Resource

from api import openapi, queries, responses
from api.context import context
from dynamo.services.catalogue import history
from dynamo.services.catalogue.history import HistoryFilter


class History(Resource):  # type: ignore[misc]
    """Events, newest first."""

    @openapi.pages("dataset", "lfn", "site")
    def get(self) -> Response:
        """List the events of a dataset, a file or a site."""
        queries.known("dataset", "lfn", "site", "limit", "cursor")
        wanted = HistoryFilter(
            queries.exact("dataset"), queries.exact("lfn"), queries.exact("site")
        )
        return responses.page(history.list_page(context(), wanted, queries.place()))


openapi.ns.add_resource(History, "/history", endpoint="history")
