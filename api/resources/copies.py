"""Copies: requests that data be at a site."""

from api import openapi
from api.resources.requests import Collection, One
from dynamo.inventory import schemas
from dynamo.inventory.states import RequestKind
from dynamo.services.copies import submission as copies_submission


@openapi.filing(schemas.Copy)
class Copies(Collection):
    """Requests that data be at a site, or at `copies` of several sites."""

    kind = RequestKind.COPY
    plural = "copies"
    body = schemas.Copy
    file = staticmethod(copies_submission.file)


class CopyOne(One):
    """One copy request."""

    kind = RequestKind.COPY


openapi.ns.add_resource(Copies, "/copies", endpoint="copies")
openapi.ns.add_resource(CopyOne, "/copies/<request_id>", endpoint="copies_one")
