"""Numbers of waiting messages in each queue."""

from collections.abc import Mapping
from typing import Any

from celery import Celery
from kombu.exceptions import KombuError
from redis.exceptions import RedisError

from dynamo.errors import Unavailable
from dynamo.tasks import QUEUES


class Depths:
    """Reads queue lengths through an application with short time-outs."""

    def __init__(self, app: Celery) -> None:
        self._app = app

    def depths(self) -> Mapping[str, int]:
        """Return the number of messages in each queue. Raises Unavailable."""
        try:
            with self._app.connection_for_write() as connection:
                connection.connect()
                channel: Any = connection.channel()
                return {name: int(channel.client.llen(name)) for name in QUEUES}
        except (KombuError, RedisError, OSError) as error:
            raise Unavailable("the broker is away") from error
