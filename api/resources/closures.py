"""Closures: requests to finish the production of a dataset."""

from api import openapi
from api.resources.requests import Collection, One
from dynamo.inventory import schemas
from dynamo.inventory.states import RequestKind
from dynamo.services.injection import closure


@openapi.filing(schemas.Closure)
class Closures(Collection):
    """Closures of datasets, which then take no more files."""

    kind = RequestKind.CLOSURE
    plural = "closures"
    body = schemas.Closure
    file = staticmethod(closure.file)


class ClosureOne(One):
    """One closure."""

    kind = RequestKind.CLOSURE


openapi.ns.add_resource(Closures, "/closures", endpoint="closures")
openapi.ns.add_resource(ClosureOne, "/closures/<request_id>", endpoint="closures_one")
