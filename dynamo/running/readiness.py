"""Checks whether a started system is ready."""

import urllib.error
import urllib.request
from collections.abc import Iterable

from celery import Celery
from kombu.exceptions import OperationalError

PATIENCE = 0.5
"""Seconds to wait for the answers to one question."""


class Readiness:
    """Tracks the parts that have answered; a part that has answered is not asked again."""

    def __init__(self, address: str, broker_url: str, nodes: Iterable[str]) -> None:
        self._health = f"{address}/v1/health"
        self._celery = Celery(broker=broker_url, set_as_current=False)
        self._celery.conf.broker_transport_options = {
            "socket_timeout": 2,
            "socket_connect_timeout": 2,
        }
        self._silent = set(nodes)
        self._healthy = False

    def missing(self) -> list[str]:
        """Ask the silent parts, and return the names of those still silent."""
        self._healthy = self._healthy or self._serves()
        if self._silent:
            self._silent -= self._answering()
        return ([] if self._healthy else ["api"]) + sorted(
            node.partition("@")[0] for node in self._silent
        )

    def _serves(self) -> bool:
        try:
            with urllib.request.urlopen(self._health, timeout=PATIENCE) as answer:  # noqa: S310 - a fixed http: address
                return bool(answer.status == 200)
        except (OSError, urllib.error.HTTPError):
            return False

    def _answering(self) -> set[str]:
        """Return the nodes that answer a ping, and so take work from their queues."""
        nodes = sorted(self._silent)
        try:
            answers = self._celery.control.ping(nodes, timeout=PATIENCE, limit=len(nodes)) or []
        except (OSError, OperationalError):
            return set()
        return {node for answer in answers for node in answer}
