"""Common parts of the four kinds of requests: file, list, show, cancel."""

import re
from typing import Any, ClassVar, TypeAlias

import msgspec
from flask import Response, request
from flask_restx import Resource

from api import decoding, openapi, queries, responses
from api.auth import caller
from api.context import context
from api.problems import Malformed
from dynamo.errors import NotFound
from dynamo.inventory.callers import Caller
from dynamo.inventory.states import RequestKind, RequestState
from dynamo.services import cancellation, idempotency
from dynamo.services.context import Context
from dynamo.services.idempotency import Key
from dynamo.services.pagination import Page, write
from dynamo.services.requests import views as request_views
from dynamo.services.requests.views import RequestFilter

File: TypeAlias = "staticmethod[[Context, Any, Caller, Key | None], int]"
"""A service that files a request and returns its id."""

_KEY = re.compile(r"[!-~]{1,255}", re.ASCII)


class Collection(Resource):  # type: ignore[misc]
    """All requests of a kind."""

    kind: ClassVar[RequestKind]
    plural: ClassVar[str]
    body: ClassVar[type[msgspec.Struct]]
    file: "ClassVar[File]"

    @openapi.pages("state", "dataset", "owner")
    def get(self) -> Response:
        """List requests, newest first."""
        queries.known("state", "dataset", "owner", "limit", "cursor")
        filters = RequestFilter(
            state=queries.one_of("state", RequestState),
            dataset=queries.glob("dataset"),
            owner=queries.glob("owner"),
        )
        place = queries.place()
        after = place.span((int,)).after
        cursor = None if after is None else int(after[0])
        items, following = request_views.list_page(
            context(), self.kind, filters, cursor, place.limit
        )
        position = None if following is None else (following,)
        return responses.page(Page(items, write(position)))

    def post(self) -> Response:
        """File a request; a repeated Idempotency-Key gets the first answer."""
        queries.known()
        wanted = decoding.body(request, self.body)
        key = idempotency_key(self.plural, wanted)
        if (
            key is not None
            and (first := idempotency.kept(context().begin, caller().name, key)) is not None
        ):
            return responses.accepted(first, self._location(msgspec.json.decode(first)["id"]))
        request_id, filed = self.filed(wanted, key)
        answer = responses.encode(filed)
        if key is not None:
            idempotency.keep(context().begin, caller().name, key, answer)
        return responses.accepted(answer, self._location(request_id))

    def filed(self, wanted: Any, key: Key | None) -> tuple[int, dict[str, object]]:
        """File what is wanted; return the request's id and the request object."""
        request_id = self.file(context(), wanted, caller(), key)
        return request_id, request_views.get(context(), self.kind, request_id)

    def _location(self, request_id: int) -> str:
        return f"/v1/{self.plural}/{request_id}"


class One(Resource):  # type: ignore[misc]
    """One request of a kind."""

    kind: ClassVar[RequestKind]

    def get(self, request_id: str) -> Response:
        """Show a request."""
        queries.known()
        return responses.ok(request_views.get(context(), self.kind, number(self.kind, request_id)))

    def delete(self, request_id: str) -> Response:
        """Cancel the open part of a request."""
        queries.known()
        key = number(self.kind, request_id)
        cancellation.cancel(context(), self.kind, key, caller())
        return responses.ok(request_views.get(context(), self.kind, key))


def number(kind: RequestKind, text: str) -> int:
    """Return the number of a request. Raises NotFound for another text."""
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise NotFound(f"there is no {kind} {text[:50]!r}")
    return int(text)


def idempotency_key(plural: str, wanted: msgspec.Struct) -> Key | None:
    """Return the caller's key for this call; two bodies that mean the same are the same."""
    text = request.headers.get("Idempotency-Key")
    if text is None:
        return None
    if _KEY.fullmatch(text) is None:
        raise Malformed("an Idempotency-Key has 1 to 255 visible ASCII characters")
    return Key.of(text, f"POST /v1/{plural}", responses.encode(wanted))
