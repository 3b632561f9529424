"""Kombu's way to Redis, mended: losing the broker in mid work must not end a pool.

A pool that loses its broker takes the connection apart and opens another. What the tasks that still
run then say of their messages goes to the old one, and Kombu 5.7 meets this with an AttributeError
that nobody expects: the whole process ends, with all its copies. Here it is the connection error
that it is. The message comes again after its visibility time-out, to rows that know better.

Nor may a message end a pool that is no message of Celery's.
"""

from typing import Any

from kombu.transport import TRANSPORT_ALIASES, redis
from redis.exceptions import ConnectionError as Lost

from dynamo.logs import logger

log = logger("queues")


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

    def on_readable(self, fileno: int) -> None:  # type: ignore[override] # as Kombu's own
        """Hand over what has come; what nobody can read is told and left.

        It is out of its queue by then. Celery looks only at messages that are well-formed; any
        other would end the pool, go back to the queue at its end, and end the next one.
        """
        try:
            super().on_readable(fileno)
        except (TypeError, ValueError, LookupError) as error:
            log.exception("a message that nobody can read was left", error=str(error)[:200])


def mend() -> None:
    """Let all addresses of a Redis lead here: the scheme of an address outweighs any setting."""
    for scheme in ("redis", "rediss"):
        TRANSPORT_ALIASES[scheme] = f"{__name__}:Transport"
