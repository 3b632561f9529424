"""Closures: production of a dataset is finished."""

from api import openapi as docs
from api.resources.requests import Collection, One
from dynamo.inventory import schemas as asked
from dynamo.inventory.states import RequestKind
from dynamo.services.injection import closure as closures


@docs.filing(asked.Closure)
class Closures(Collection):
    """Finish a dataset: it takes no more files."""

    kind = RequestKind.CLOSURE
    plural = "closures"
    body = asked.Closure
    file = staticmethod(closures.file)


class ClosureOne(One):
    """One of them."""

    kind = RequestKind.CLOSURE


docs.ns.add_resource(Closures, "/closures", endpoint="closures")
docs.ns.add_resource(ClosureOne, "/closures/<request_id>", endpoint="closures_one")
