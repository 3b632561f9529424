"""Users' quotas."""

from flask import Response, request
from flask_restx import Resource

from api import decoding, queries
from api import openapi as docs
from api import responses as answers
from api.auth import caller
from api.context import use
from dynamo.inventory import schemas as asked
from dynamo.services.accounts import user_quotas as quotas


class Quotas(Resource):  # type: ignore[misc]
    """All users' quotas."""

    @docs.pages("user")
    def get(self) -> Response:
        """List users with what they may have and what they have."""
        queries.known("user", "limit", "cursor")
        return answers.page(quotas.some(use(), queries.glob("user"), queries.place()))


class UserQuota(Resource):  # type: ignore[misc]
    """One user's quota."""

    def get(self, user: str) -> Response:
        """Show a user's quota."""
        queries.known()
        return answers.ok(quotas.show(use(), user))

    @docs.body(asked.UserQuotaBody)
    def put(self, user: str) -> Response:
        """Set a user's quota of unique bytes; null = unlimited."""
        queries.known()
        body = decoding.body(request, asked.UserQuotaBody)
        return answers.ok(quotas.put(use(), user, body, caller()))


docs.ns.add_resource(Quotas, "/quotas", endpoint="quotas")
docs.ns.add_resource(UserQuota, "/quotas/<user>", endpoint="user_quota")
