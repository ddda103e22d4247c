"""Traces for OpenTelemetry, by opentelemetry-api (the extra ``tracing``)."""

from __future__ import annotations

import time
from typing import Any

from hybrid.errors import MissingDependencyError
from hybrid.observing.events import Changed, Searched
from hybrid.version import __version__

_NANOSECONDS = 1_000_000_000


class OpenTelemetry:
    """An observer that makes spans; hand it to `hybrid.observe`.

    Each search is a span ``hybrid.search`` below the one that is current in the thread that asked, with a
    span for each stage below it (``hybrid.search.bm25``, …); each change is a span ``hybrid.change``. What
    was asked is not recorded: queries may be private. Without a tracer provider (opentelemetry-sdk) nothing
    is recorded.

    Raises:
        MissingDependencyError: opentelemetry-api is not installed.
    """

    def __init__(self, provider: Any = None) -> None:
        """Take a tracer provider, or the global one."""
        try:
            from opentelemetry import trace
        except ImportError as error:
            raise MissingDependencyError("opentelemetry-api", "tracing") from error
        self._trace = trace
        self._tracer = trace.get_tracer("hybrid", __version__, tracer_provider=provider)

    def searched(self, event: Searched) -> None:
        """Make the spans of a search."""
        *stages, (_, _, ended) = event.spans
        begun = min(start for _, start, _ in event.spans)  # of a pass shared with others, perhaps
        attributes: dict[str, Any] = {
            "hybrid.index": event.index,
            "hybrid.generation": event.generation,
            "hybrid.segments": event.segments,
            "hybrid.hits": event.hits,
            "hybrid.exact": event.exact,
            "hybrid.degraded": tuple(event.degraded),
        }
        span = self._span("hybrid.search", begun, attributes, None, event.error)
        below = self._trace.set_span_in_context(span)
        for name, start, end in stages:
            self._span(f"hybrid.search.{name}", start, {}, below).end(_wall(end))
        span.end(_wall(ended))

    def changed(self, event: Changed) -> None:
        """Make the span of a change."""
        attributes = {
            "hybrid.index": event.index,
            "hybrid.generation": event.generation,
            "hybrid.segments": event.segments,
            "hybrid.documents": event.documents,
        }
        span = self._span("hybrid.change", event.begun, attributes, None, event.error)
        span.end(_wall(event.ended))

    def _span(
        self,
        name: str,
        begun: float,
        attributes: dict[str, Any],
        context: Any = None,
        error: BaseException | None = None,
    ) -> Any:
        span = self._tracer.start_span(name, context, attributes=attributes, start_time=_wall(begun))
        if error is not None:
            span.record_exception(error)
            span.set_status(self._trace.Status(self._trace.StatusCode.ERROR, str(error)))
        return span


def _wall(seconds: float) -> int:
    """Return a time of `time.perf_counter` as nanoseconds since 1970."""
    return time.time_ns() - int((time.perf_counter() - seconds) * _NANOSECONDS)
