"""Structured logs.

One JSON line per event, with the request id that travels from the call to the task.
"""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import structlog

_trace: ContextVar[str] = ContextVar("trace", default="")


def trace() -> str:
    """Return the id of the current request; empty outside of requests."""
    return _trace.get()


@contextmanager
def tracing(request_id: str) -> Iterator[None]:
    """Set the id of the current request for logs, history and messages."""
    token = _trace.set(request_id)
    try:
        yield
    finally:
        _trace.reset(token)


def _add_trace(
    _logger: object, _method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    if _trace.get():
        event["request_id"] = _trace.get()
    return event


_SHARED: list[structlog.typing.Processor] = [
    structlog.stdlib.add_log_level,
    _add_trace,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
]


def configure() -> None:
    """Send all logs, also those of libraries, as JSON lines to stderr."""
    structlog.configure(
        processors=[*_SHARED, structlog.processors.JSONRenderer()],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *_SHARED],
        )
    )
    logging.root.handlers[:] = [handler]
    logging.root.setLevel(logging.INFO)
    # the line at a task's end says all that the line at its start says
    logging.getLogger("celery.worker.strategy").setLevel(logging.WARNING)


def silence() -> None:
    """Suppress all logs but critical ones, for simulations."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


def logger(name: str) -> structlog.typing.FilteringBoundLogger:
    """Return a logger that names its module."""
    bound: structlog.typing.FilteringBoundLogger = structlog.get_logger(room=name)
    return bound
