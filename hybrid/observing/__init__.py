"""Watching an index at work: logs, metrics and traces."""

from hybrid.observing.events import Changed, Observer, Searched, observe
from hybrid.observing.prometheus import Prometheus
from hybrid.observing.telemetry import OpenTelemetry

__all__ = ["Changed", "Observer", "OpenTelemetry", "Prometheus", "Searched", "observe"]
