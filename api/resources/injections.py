"""Injections: requests to take a job's output."""

from typing import Any

from flask import Response, request
from flask_restx import Resource

from api import decoding, openapi, queries, responses
from api.auth import caller
from api.context import context
from api.resources.requests import Collection, One, number
from dynamo.inventory import schemas
from dynamo.inventory.states import RequestKind
from dynamo.services.idempotency import Key
from dynamo.services.injection import submission as injection_submission
from dynamo.services.requests import views as request_views


@openapi.filing(schemas.Injection)
class Injections(Collection):
    """Injections of files, pulled from their source or booked for upload."""

    kind = RequestKind.INJECTION
    plural = "injections"
    body = schemas.Injection
    file = staticmethod(injection_submission.file)

    def filed(self, wanted: Any, key: Key | None) -> tuple[int, dict[str, object]]:
        """Hand files over; return the request's id and the request object with its files."""
        filed: dict[str, Any] = injection_submission.hand_over(context(), wanted, caller(), key)
        return filed["id"], filed


class InjectionOne(One):
    """One injection."""

    kind = RequestKind.INJECTION


class Uploads(Resource):  # type: ignore[misc]
    """Confirmations of uploads."""

    @openapi.body(schemas.Uploaded)
    def post(self, request_id: str) -> Response:
        """Confirm that files (`{}` = all) are uploaded."""
        queries.known()
        key = number(RequestKind.INJECTION, request_id)
        wanted: schemas.Uploaded = decoding.body(request, schemas.Uploaded, empty=b"{}")
        injection_submission.uploaded(context(), key, wanted.lfns, caller())
        shown = request_views.get(context(), RequestKind.INJECTION, key)
        return responses.accepted(responses.encode(shown), f"/v1/injections/{key}")


openapi.ns.add_resource(Injections, "/injections", endpoint="injections")
openapi.ns.add_resource(InjectionOne, "/injections/<request_id>", endpoint="injections_one")
openapi.ns.add_resource(Uploads, "/injections/<request_id>/uploaded", endpoint="uploaded")
