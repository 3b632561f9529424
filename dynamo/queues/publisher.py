"""Publishes hints: short messages to the pools.

A hint that cannot be sent costs a delay, never the work.
"""

from collections.abc import Sequence
from functools import partial
from types import ModuleType

from celery import Celery
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from dynamo.logs import logger, trace
from dynamo.operations.hints import Hint, Publish
from dynamo.tasks import TASKS

log = logger("queues")

QUICK = {"socket_timeout": 0.3, "socket_connect_timeout": 0.3, "max_retries": 0}
"""With a frozen broker an API call waits less than a second; the sweep finds the work later.

By default Kombu tries for six seconds to connect before it gives up.
"""


def publisher(app: Celery) -> Publish:
    """Return a function that sends hints through an application and never raises."""
    return partial(_publish, app)


def quick_app(config: ModuleType) -> Celery:
    """Return an application that only publishes, with short time-outs and no retry.

    `config` is Celery's configuration.
    """
    app = Celery("dynamo-api", set_as_current=False)
    app.config_from_object(config)
    app.conf.broker_transport_options = {**config.broker_transport_options, **QUICK}
    app.conf.task_publish_retry = False
    # saves an eighth of a call with one file; Flower shows a task once a pool takes it
    app.conf.task_send_sent_event = False
    app.conf.broker_connection_retry = False
    return app


def _publish(app: Celery, hints: Sequence[Hint]) -> None:
    for n, hint in enumerate(hints):
        try:
            _send(app, hint)
        except (OperationalError, RedisError, OSError) as error:
            log.warning(
                "hints not sent; the sweep finds the work",
                left=len(hints) - n,
                error=str(error)[:200],
            )
            return


def _send(app: Celery, hint: Hint) -> None:
    app.send_task(
        hint.task,
        args=[list(hint.ids)],
        queue=TASKS[hint.task].queue,
        # Flower shows this instead of the arguments
        argsrepr=hint.text,
        kwargsrepr="",
        headers={"request_id": trace()},
        ignore_result=True,
    )
