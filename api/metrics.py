"""Metrics for Prometheus: counters of this process, and gauges from the inventory."""

from collections.abc import Iterator

from flask import Flask, Response, request
from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric

from api.context import context
from dynamo.services.maintenance import health

TYPE = "text/plain; version=0.0.4; charset=utf-8"
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class Durations:
    """Durations of calls by route, method and status, never by name or user."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._seconds = Histogram(
            "dynamo_request_duration_seconds",
            "Time to answer a call",
            ("route", "method", "status"),
            buckets=_BUCKETS,
            registry=self.registry,
        )

    def observe(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count one answer."""
        self._seconds.labels(route, method, str(status)).observe(seconds)


class Inventory:
    """Gauges from the inventory, read at each scrape."""

    def __init__(self, load: health.Load) -> None:
        self._load = load

    def collect(self) -> Iterator[Metric]:
        """Yield the gauges."""
        yield GaugeMetricFamily("dynamo_files", "Registered files", self._load.files)
        operations = GaugeMetricFamily(
            "dynamo_operations", "Operations that are not done", labels=("kind", "state")
        )
        for kind, states in self._load.unfinished.items():
            for state, number in states.items():
                operations.add_metric((kind, state), number)
        yield operations
        oldest = GaugeMetricFamily(
            "dynamo_operation_age_oldest_seconds",
            "For how long the oldest ready operation was left lying",
            labels=("kind",),
        )
        for kind, seconds in self._load.oldest_due.items():
            oldest.add_metric((kind,), seconds)
        yield oldest
        resting = GaugeMetricFamily(
            "dynamo_breaker_open",
            "Operations that rest at a site: 1 = open, 0.5 = a few files are tried",
            labels=("site", "operation"),
        )
        for (site, operation), is_open in self._load.resting.items():
            resting.add_metric((site, operation), 1.0 if is_open else 0.5)
        yield resting


def register(app: Flask, durations: Durations) -> None:
    """Serve `/metrics`."""

    def metrics() -> Response:
        inventory = CollectorRegistry()
        inventory.register(Inventory(health.load(context())))
        text = generate_latest(durations.registry) + generate_latest(inventory)
        return Response(text, content_type=TYPE)

    app.add_url_rule("/metrics", "metrics", metrics)


def route() -> str:
    """Return the route of the current call, with placeholders instead of names."""
    return request.url_rule.rule if request.url_rule is not None else "none"
