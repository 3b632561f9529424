"""Kombu's way to Redis, mended: losing the broker in mid work must not end a pool.

A pool that loses its broker takes the connection apart and opens another. What the tasks that still
run then say of their messages goes to the old one, and Kombu 5.7 meets this with an AttributeError
that nobody expects: the whole process ends, with all its copies. Here it is the connection error
that it is. The message comes again after its visibility time-out, to rows that know better.

Nor may a message end a pool, or take a place in it for good, that is no message of Celery's.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from traceback import extract_tb
from typing import Any

from kombu.message import Message
from kombu.transport import TRANSPORT_ALIASES, redis
from redis.exceptions import ConnectionError as Lost
from redis.exceptions import DataError

from dynamo.logs import logger

log = logger("queues")

MALFORMED = (
    ArithmeticError,
    AttributeError,
    DataError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What Kombu and Celery raise where a message is not of the shape they take for granted.

No error of the connection is among them: such a one must reach the loop that connects again.
"""


class Channel(redis.Channel):
    """A channel that says so when its connection has been given up, and reads any message."""

    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:  # noqa: FBT001, FBT002 - Kombu's
        if self.connection is None or self.connection.client is None:
            raise Lost("this connection to the broker was given up")
        parameters: dict[str, Any] = super()._connparams(asynchronous)  # type: ignore[misc]
        return parameters

    def _brpop_read(self, **options: Any) -> Any:
        """Read one message of a queue; what nobody can read is told and left.

        It is out of its queue by then. It would end the pool, go back to the queue at its end, and
        end the next one.
        """
        with _leaving():
            return super()._brpop_read(**options)  # type: ignore[misc]

    def _receive_one(self, c: Any) -> Any:
        """Read one message that all pools get, likewise."""
        with _leaving():
            return super()._receive_one(c)  # type: ignore[misc]

    def basic_consume(
        self,
        queue: str,
        no_ack: bool,  # noqa: FBT001 - Kombu's
        callback: Callable[[Message], Any] | None,
        consumer_tag: str | None,
        **more: Any,
    ) -> str:
        """Consume, and answer for the messages over which the consumer stumbles."""
        if callback is not None and not no_ack:
            callback = partial(_handle, callback)
        return str(super().basic_consume(queue, no_ack, callback, consumer_tag, **more))


class Transport(redis.Transport):
    """Redis, with the mended channel."""

    Channel = Channel


def _handle(callback: Callable[[Message], Any], message: Message) -> None:
    """Hand a message over, and reject it where the consumer fails to take it.

    Else nobody would: it would hold its place among those under way, and a few would hold all.
    """
    with _leaving():
        try:
            callback(message)
        except MALFORMED:
            if not message.acknowledged:
                message.reject()
            raise


@contextmanager
def _leaving() -> Iterator[None]:
    """Tell where somebody stumbled over a message, and nothing of what it holds."""
    try:
        yield
    except MALFORMED as error:
        frame = extract_tb(error.__traceback__)[-1]
        log.error(  # noqa: TRY400 - the text of the error may quote the message
            "a message that nobody can read was left",
            error=type(error).__name__,
            at=f"{Path(frame.filename).name}:{frame.lineno}",
        )


def mend() -> None:
    """Let all addresses of a Redis lead here: the scheme of an address outweighs any setting."""
    for scheme in ("redis", "rediss"):
        TRANSPORT_ALIASES[scheme] = f"{__name__}:Transport"
