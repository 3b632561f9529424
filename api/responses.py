"""Answers: JSON, written once, whatever the framework thinks of it."""

from typing import Any

import msgspec
from flask import Response

from dynamo.services.pagination import Page

_ENCODER = msgspec.json.Encoder()


def encode(value: Any) -> bytes:
    """Write a value as JSON; moments become RFC 3339."""
    return _ENCODER.encode(value)


def ok(value: Any, status: int = 200) -> Response:
    """Answer with an object."""
    return raw(encode(value), status)


def raw(body: bytes, status: int = 200) -> Response:
    """Answer with JSON that is written already."""
    return Response(body, status=status, mimetype="application/json")


def page(found: Page) -> Response:
    """Answer with a page of a list."""
    return ok({"items": found.items, "next": found.next})


def accepted(body: bytes, location: str) -> Response:
    """Answer that a request was filed, and where it can be watched."""
    answer = raw(body, 202)
    answer.headers["Location"] = location
    return answer
