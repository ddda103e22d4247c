"""What a server measures of itself, in Prometheus' text format."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from hybrid.engine.result import Result

MEDIA_TYPE = CONTENT_TYPE_LATEST
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """Counters of one server; times are in seconds. Labels hold names of routes and indexes, never input."""

    def __init__(self) -> None:
        """Begin at zero."""
        self._registry = CollectorRegistry()
        at = self._registry
        self._requests = Counter(
            "hybrid_requests", "Requests by outcome", ("method", "route", "status"), registry=at
        )
        self._seconds = Histogram(
            "hybrid_request_seconds",
            "From the request's head to the answer",
            ("route",),
            buckets=_SECONDS,
            registry=at,
        )
        self._stages = Histogram(
            "hybrid_search_seconds", "Stages of searches", ("index", "stage"), buckets=_SECONDS, registry=at
        )
        self._batches = Histogram(
            "hybrid_batch_searches",
            "Searches run together",
            ("index",),
            buckets=(1, 2, 4, 8, 16, 32, 64),
            registry=at,
        )
        self._waits = Histogram(
            "hybrid_wait_seconds", "The longest wait in a batch", ("index",), buckets=_SECONDS, registry=at
        )
        self._degraded = Counter(
            "hybrid_degraded", "Searches without a branch or stage", ("index", "part"), registry=at
        )
        self._refused = Counter("hybrid_refused", "Requests refused before any work", ("kind",), registry=at)
        self._stale = Counter(
            "hybrid_refresh_failures", "Failed looks for a generation", ("index",), registry=at
        )
        self._open = Gauge("hybrid_requests_open", "Requests under way", registry=at)
        self._waiting = Gauge("hybrid_waiting", "Searches that wait", ("index",), registry=at)
        self._generation = Gauge("hybrid_generation", "The generation searched", ("index",), registry=at)
        self._documents = Gauge("hybrid_documents", "Live documents", ("index",), registry=at)

    def host(
        self,
        name: str,
        waiting: Callable[[], int],
        generation: Callable[[], int],
        documents: Callable[[], int],
    ) -> None:
        """Watch an index."""
        self._waiting.labels(name).set_function(waiting)
        self._generation.labels(name).set_function(generation)
        self._documents.labels(name).set_function(documents)

    def begun(self) -> None:
        """Count a request in."""
        self._open.inc()

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count an answer."""
        self._open.dec()
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def refused(self, kind: str) -> None:
        """Count a request that was refused before any work."""
        self._refused.labels(kind).inc()

    def batch(self, index: str, searches: int, waited: float) -> None:
        """Count a batch when it begins."""
        self._batches.labels(index).observe(searches)
        self._waits.labels(index).observe(waited)

    def searched(self, index: str, result: Result) -> None:
        """Count a search that was answered."""
        for stage, seconds in result.timings.items():
            self._stages.labels(index, stage).observe(seconds)
        for part in result.degraded:
            self._degraded.labels(index, part).inc()

    def refresh_failed(self, index: str) -> None:
        """Count a look for a newer generation that failed."""
        self._stale.labels(index).inc()

    def text(self) -> bytes:
        """Return everything as Prometheus reads it."""
        return generate_latest(self._registry)
