"""Responses: JSON that the framework does not encode again."""

import msgspec
from flask import Response

from dynamo.services.pagination import Page

_ENCODER = msgspec.json.Encoder()


def encode(value: object) -> bytes:
    """Return a value as JSON; times become RFC 3339."""
    return _ENCODER.encode(value)


def ok(value: object, status: int = 200) -> Response:
    """Return a response with an object."""
    return raw(encode(value), status)


def raw(body: bytes, status: int = 200) -> Response:
    """Return a response with encoded JSON."""
    return Response(body, status=status, mimetype="application/json")


def page(content: Page) -> Response:
    """Return a response with a page of a list."""
    return ok({"items": content.items, "next": content.next})


def accepted(body: bytes, location: str) -> Response:
    """Return the response of a filed request, with its location."""
    answer = raw(body, 202)
    answer.headers["Location"] = location
    return answer
