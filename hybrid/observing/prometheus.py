"""Metrics for Prometheus, by prometheus-client (the extra ``metrics``)."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from hybrid.errors import MissingDependencyError
from hybrid.observing.events import Changed, Searched

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Upper bounds of latencies, in seconds."""


class Prometheus:
    """An observer that counts; hand it to `hybrid.observe`.

    The label ``index`` is the name of an index's folder. Metrics::

        hybrid_searches_total{index, outcome}         outcome: exact, approximate, degraded, failed
        hybrid_search_seconds{index, stage}           histogram; the stage "total" is the whole search
        hybrid_degraded_total{index, part}            branches and stages that were missing
        hybrid_changes_total{index, outcome}          outcome: committed, failed
        hybrid_change_seconds{index}                  histogram, with the merges that followed
        hybrid_generation, hybrid_segments, hybrid_documents, hybrid_deleted_documents{index}

    Raises:
        MissingDependencyError: prometheus-client is not installed.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        """Register the metrics, in the library's own registry unless another is given."""
        try:
            from prometheus_client import REGISTRY, Counter, Gauge, Histogram
        except ImportError as error:
            raise MissingDependencyError("prometheus-client", "metrics") from error
        where: Any = {"registry": registry if registry is not None else REGISTRY}
        stage = ("index", "stage")
        self._searches = Counter("hybrid_searches_total", "Searches.", ("index", "outcome"), **where)
        self._seconds = Histogram("hybrid_search_seconds", "Time.", stage, buckets=BUCKETS, **where)
        self._degraded = Counter("hybrid_degraded_total", "What was missing.", ("index", "part"), **where)
        self._changes = Counter("hybrid_changes_total", "Changes.", ("index", "outcome"), **where)
        self._changing = Histogram("hybrid_change_seconds", "Time.", ("index",), buckets=BUCKETS, **where)
        names = ("generation", "segments", "documents", "deleted_documents")
        self._figures = {name: Gauge(f"hybrid_{name}", "Now.", ("index",), **where) for name in names}

    def searched(self, event: Searched) -> None:
        """Count a search."""
        index = PurePath(event.index).name
        outcome = "failed" if event.error else "degraded" if event.degraded else "approximate"
        self._searches.labels(index, "exact" if event.exact else outcome).inc()
        for name, begun, ended in event.spans:
            self._seconds.labels(index, name).observe(ended - begun)
        for part in event.degraded:
            self._degraded.labels(index, part).inc()
        self._show(index, generation=event.generation, segments=event.segments, documents=event.documents)

    def changed(self, event: Changed) -> None:
        """Count a change."""
        index = PurePath(event.index).name
        self._changes.labels(index, "failed" if event.error else "committed").inc()
        self._changing.labels(index).observe(event.ended - event.begun)
        self._show(
            index,
            generation=event.generation,
            segments=event.segments,
            documents=event.documents,
            deleted_documents=event.deleted,
        )

    def _show(self, index: str, **figures: int) -> None:
        for name, value in figures.items():
            self._figures[name].labels(index).set(value)
