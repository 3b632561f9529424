"""Files: their sites, and reasons of missing replicas."""

from flask import Response
from flask_restx import Resource

from api import openapi, queries, responses
from api.context import context
from dynamo.services.catalogue import files
from dynamo.services.catalogue.files import FileFilter


class Files(Resource):  # type: ignore[misc]
    """All files."""

    @openapi.pages("dataset", "block", "lfn")
    def get(self) -> Response:
        """List the files of a dataset or a block, or a file by its name."""
        queries.known("dataset", "block", "lfn", "limit", "cursor")
        wanted = FileFilter(queries.glob("dataset"), queries.block("block"), queries.glob("lfn"))
        return responses.page(files.list_page(context(), wanted, queries.place()))


openapi.ns.add_resource(Files, "/files", endpoint="files")
