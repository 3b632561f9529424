"""Deletions: replicas at a site, or data everywhere."""

from api import openapi
from api.resources.requests import Collection, One
from dynamo.inventory import schemas
from dynamo.inventory.states import RequestKind
from dynamo.services.deletions import submission as deletions_submission


@openapi.filing(schemas.Deletion)
class Deletions(Collection):
    """Remove replicas at a site, or data everywhere and their names."""

    kind = RequestKind.DELETION
    plural = "deletions"
    body = schemas.Deletion
    file = staticmethod(deletions_submission.file)


class DeletionOne(One):
    """One of them."""

    kind = RequestKind.DELETION


openapi.ns.add_resource(Deletions, "/deletions", endpoint="deletions")
openapi.ns.add_resource(DeletionOne, "/deletions/<request_id>", endpoint="deletions_one")
