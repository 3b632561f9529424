"""Datasets: content and sites; registration and changes of official data."""

from flask import Response, request
from flask_restx import Resource

from api import decoding, openapi, queries, responses
from api.auth import caller
from api.context import context
from dynamo.inventory import schemas
from dynamo.inventory.states import DatasetStatus
from dynamo.services.catalogue import datasets
from dynamo.services.catalogue.datasets import DatasetFilter
from dynamo.services.official import registration


class Datasets(Resource):  # type: ignore[misc]
    """All datasets."""

    @openapi.pages("name", "owner", "status")
    def get(self) -> Response:
        """List datasets by name."""
        queries.known("name", "owner", "status", "limit", "cursor")
        wanted = DatasetFilter(
            queries.glob("name"), queries.exact("owner"), queries.one_of("status", DatasetStatus)
        )
        return responses.page(datasets.list_page(context(), wanted, queries.place()))

    @openapi.bodies(schemas.OfficialDataset)
    def post(self) -> Response:
        """Register official data that are at sites already; repeating it changes nothing.

        Takes one dataset or a list. Answers with the numbers of new items.
        """
        queries.known()
        one_or_more = schemas.OfficialDataset | schemas.OfficialDatasets
        body = decoding.body(request, one_or_more)
        wanted = (body,) if isinstance(body, schemas.OfficialDataset) else body
        return responses.ok(registration.register(context(), wanted, caller()))


class Dataset(Resource):  # type: ignore[misc]
    """One dataset."""

    def get(self, name: str) -> Response:
        """Show a dataset; its name is given without the first slash."""
        queries.known()
        return responses.ok(datasets.get(context(), f"/{name}"))

    @openapi.body(schemas.DatasetChange)
    def patch(self, name: str) -> Response:
        """Change status, type or owner; absent fields stay unchanged."""
        queries.known()
        body = decoding.body(request, schemas.DatasetChange)
        return responses.ok(datasets.change(context(), f"/{name}", body, caller()))


openapi.ns.add_resource(Datasets, "/datasets", endpoint="datasets")
openapi.ns.add_resource(Dataset, "/datasets/<path:name>", endpoint="dataset")
