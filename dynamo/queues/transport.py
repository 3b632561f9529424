"""Kombu's way to Redis, mended: losing the broker in mid work must not end a pool.

A pool that loses its broker takes the connection apart and opens another. What the tasks that still
run then say of their messages goes to the old one, and Kombu 5.7 meets this with an AttributeError
that nobody expects: the whole process ends, with all its copies. Here it is the connection error
that it is. The message comes again after its visibility time-out, to rows that know better.
"""

from typing import Any

from kombu.transport import TRANSPORT_ALIASES, redis
from redis.exceptions import ConnectionError as Lost


class Channel(redis.Channel):
    """A channel that says so when its connection has been given up."""

    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:  # noqa: FBT001, FBT002 - Kombu's
        if self.connection is None or self.connection.client is None:
            raise Lost("this connection to the broker was given up")
        parameters: dict[str, Any] = super()._connparams(asynchronous)  # type: ignore[misc]
        return parameters


class Transport(redis.Transport):
    """Redis, with the mended channel."""

    Channel = Channel


def mend() -> None:
    """Let all addresses of a Redis lead here: the scheme of an address outweighs any setting."""
    for scheme in ("redis", "rediss"):
        TRANSPORT_ALIASES[scheme] = f"{__name__}:Transport"
