"""Kombu's Redis transport, fixed: losing the broker during work must not end a pool.

A pool that loses its broker closes the connection and opens another. Running tasks then acknowledge
their messages to the old connection. Kombu 5.7 raises an AttributeError there that ends the whole
process with all its copies; here it is a connection error. The message is delivered again after its
visibility time-out, and the rows show that it is outdated. A malformed message must not end a pool
either, or occupy a place in it for ever.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from traceback import extract_tb

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
"""Errors of Kombu and Celery for malformed messages.

Connection errors are not among them: they must reach the loop that reconnects.
"""


class Channel(redis.Channel):
    """A channel that reports a closed connection and survives malformed messages."""

    def _connparams(self, asynchronous: bool = False) -> dict[str, object]:  # noqa: FBT001, FBT002 - Kombu's
        if self.connection is None or self.connection.client is None:
            raise Lost("this connection to the broker was given up")
        parameters: dict[str, object] = super()._connparams(asynchronous)  # type: ignore[misc]
        return parameters

    def _brpop_read(self, **options: object) -> object:
        """Read one message of a queue; log and drop a malformed one.

        It has already left its queue. Otherwise it would end this pool, return to the queue, and
        end the next pool.
        """
        with _leaving():
            return super()._brpop_read(**options)  # type: ignore[misc]

    def _receive_one(self, c: object) -> object:
        """Read one broadcast message; log and drop a malformed one."""
        with _leaving():
            return super()._receive_one(c)  # type: ignore[misc]

    def basic_consume(
        self,
        queue: str,
        no_ack: bool,  # noqa: FBT001 - Kombu's
        callback: Callable[[Message], object] | None,
        consumer_tag: str | None,
        **more: object,
    ) -> str:
        """Consume, and reject messages on which the consumer fails."""
        if callback is not None and not no_ack:
            callback = partial(_handle, callback)
        return str(super().basic_consume(queue, no_ack, callback, consumer_tag, **more))


class Transport(redis.Transport):
    """Redis with the fixed channel."""

    Channel = Channel


def _handle(callback: Callable[[Message], object], message: Message) -> None:
    """Pass a message to the consumer, and reject it if the consumer fails.

    Otherwise it would stay unacknowledged and occupy a place of the pool for ever.
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
    """Log where a malformed message failed, without its content."""
    try:
        yield
    except MALFORMED as error:
        frame = extract_tb(error.__traceback__)[-1]
        log.error(  # noqa: TRY400 - the text of the error may quote the message
            "malformed message dropped",
            error=type(error).__name__,
            at=f"{Path(frame.filename).name}:{frame.lineno}",
        )


def mend() -> None:
    """Use this transport for all Redis URLs: the scheme of a URL overrides every setting."""
    for scheme in ("redis", "rediss"):
        TRANSPORT_ALIASES[scheme] = f"{__name__}:Transport"
