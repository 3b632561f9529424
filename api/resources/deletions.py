"""Deletions: replicas at a site, or data everywhere."""

from api import openapi as docs
from api.resources.requests import Collection, One
from dynamo.inventory import schemas as asked
from dynamo.inventory.states import RequestKind
from dynamo.services.deletions import submission as deletions


@docs.filing(asked.Deletion)
class Deletions(Collection):
    """Remove replicas at a site, or data everywhere and their names."""

    kind = RequestKind.DELETION
    plural = "deletions"
    body = asked.Deletion
    file = staticmethod(deletions.file)


class DeletionOne(One):
    """One of them."""

    kind = RequestKind.DELETION


docs.ns.add_resource(Deletions, "/deletions", endpoint="deletions")
docs.ns.add_resource(DeletionOne, "/deletions/<request_id>", endpoint="deletions_one")
