"""Copies: the wish that data be at a site."""

from api import openapi as docs
from api.resources.requests import Collection, One
from dynamo.inventory import schemas as asked
from dynamo.inventory.states import RequestKind
from dynamo.services.copies import submission as copies


@docs.filing(asked.Copy)
class Copies(Collection):
    """Wish that data be at a site, or at some of several."""

    kind = RequestKind.COPY
    plural = "copies"
    body = asked.Copy
    file = staticmethod(copies.file)


class CopyOne(One):
    """One of them."""

    kind = RequestKind.COPY


docs.ns.add_resource(Copies, "/copies", endpoint="copies")
docs.ns.add_resource(CopyOne, "/copies/<request_id>", endpoint="copies_one")
