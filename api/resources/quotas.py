"""Users' quotas."""

from flask import Response, request
from flask_restx import Resource

from api import decoding, openapi, queries, responses
from api.auth import caller
from api.context import context
from dynamo.inventory import schemas
from dynamo.services.accounts import user_quotas


class Quotas(Resource):  # type: ignore[misc]
    """All users' quotas."""

    @openapi.pages("user")
    def get(self) -> Response:
        """List users with quota and usage."""
        queries.known("user", "limit", "cursor")
        return responses.page(
            user_quotas.list_page(context(), queries.glob("user"), queries.place())
        )


class UserQuota(Resource):  # type: ignore[misc]
    """One user's quota."""

    def get(self, user: str) -> Response:
        """Show a user's quota."""
        queries.known()
        return responses.ok(user_quotas.get(context(), user))

    @openapi.body(schemas.UserQuotaBody)
    def put(self, user: str) -> Response:
        """Set a user's quota of unique bytes; null = unlimited."""
        queries.known()
        body = decoding.body(request, schemas.UserQuotaBody)
        return responses.ok(user_quotas.update(context(), user, body, caller()))


openapi.ns.add_resource(Quotas, "/quotas", endpoint="quotas")
openapi.ns.add_resource(UserQuota, "/quotas/<user>", endpoint="user_quota")
