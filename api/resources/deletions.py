"""Deletions: requests to delete replicas at a site, or data everywhere."""

from api import openapi
from api.resources.requests import Collection, One
from dynamo.inventory import schemas
from dynamo.inventory.states import RequestKind
from dynamo.services.deletions import submission as deletions_submission


@openapi.filing(schemas.Deletion)
class Deletions(Collection):
    """Deletions of replicas at a site, or of data everywhere with their names."""

    kind = RequestKind.DELETION
    plural = "deletions"
    body = schemas.Deletion
    file = staticmethod(deletions_submission.file)


class DeletionOne(One):
    """One deletion."""

    kind = RequestKind.DELETION


openapi.ns.add_resource(Deletions, "/deletions", endpoint="deletions")
openapi.ns.add_resource(DeletionOne, "/deletions/<request_id>", endpoint="deletions_one")
