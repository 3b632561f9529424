"""The history: what happened, who wanted it and why."""

from flask import Response
from flask_restx import Resource

from api import openapi as docs
from api import queries
from api import responses as answers
from api.context import use
from dynamo.services.catalogue import history
from dynamo.services.catalogue.history import HistoryFilter


class History(Resource):  # type: ignore[misc]
    """What happened, newest first."""

    @docs.pages("dataset", "lfn", "site")
    def get(self) -> Response:
        """List what happened to a dataset, a file or a site."""
        queries.known("dataset", "lfn", "site", "limit", "cursor")
        wanted = HistoryFilter(
            queries.exact("dataset"), queries.exact("lfn"), queries.exact("site")
        )
        return answers.page(history.some(use(), wanted, queries.place()))


docs.ns.add_resource(History, "/history", endpoint="history")
