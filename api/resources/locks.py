"""Locks on data."""

from flask import Response, request
from flask_restx import Resource

from api import decoding, openapi, queries, responses
from api.auth import caller
from api.context import context
from dynamo.errors import NotFound
from dynamo.inventory import schemas
from dynamo.services.policies import locks


class Locks(Resource):  # type: ignore[misc]
    """Active locks."""

    @openapi.pages("dataset", "owner")
    def get(self) -> Response:
        """List active locks: all, those on a dataset, or those of an owner."""
        queries.known("dataset", "owner", "limit", "cursor")
        dataset, owner = queries.exact("dataset"), queries.exact("owner")
        return responses.page(locks.list_page(context(), dataset, owner, queries.place()))

    @openapi.body(schemas.LockBody)
    def post(self) -> Response:
        """Set a lock; setting the same lock again changes its end and reason."""
        queries.known()
        lock, new = locks.update(context(), decoding.body(request, schemas.LockBody), caller())
        answer = responses.ok(lock, 201 if new else 200)
        answer.headers["Location"] = f"/v1/locks/{lock['id']}"
        return answer


class Lock(Resource):  # type: ignore[misc]
    """One lock."""

    def get(self, lock_id: str) -> Response:
        """Show a lock."""
        queries.known()
        return responses.ok(locks.get(context(), _number(lock_id)))

    def delete(self, lock_id: str) -> Response:
        """Remove a lock; answers with the removed lock."""
        queries.known()
        return responses.ok(locks.remove(context(), _number(lock_id), caller()))


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise NotFound(f"there is no lock {text[:50]!r}")
    return int(text)


openapi.ns.add_resource(Locks, "/locks", endpoint="locks")
openapi.ns.add_resource(Lock, "/locks/<lock_id>", endpoint="lock")
