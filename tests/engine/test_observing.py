"""Logs, metrics and traces: what they say of searches and changes, and that they stay out of the way."""

from __future__ import annotations

import logging
import subprocess
import sys

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import CollectorRegistry

import hybrid
from hybrid.observing import events

PIPELINE = hybrid.Pipeline(branches=[hybrid.BM25(analyzer="simple"), hybrid.Dense(model=None, dimension=2)])
QUERY = hybrid.Query("word", {"dense": [1, 0]})


def document(n):
    return hybrid.Document(str(n), f"word {n}", vectors={"dense": [n, 1]})


@pytest.fixture
def index(tmp_path):
    with hybrid.create(tmp_path / "shop", map(document, range(5)), PIPELINE) as opened:
        yield opened


@pytest.fixture
def watching():
    """Observers for the length of a test."""
    ends = []
    yield lambda observer: ends.append(hybrid.observe(observer))
    for end in ends:
        end()
    assert not events.observed()


def broken(*arguments):
    raise RuntimeError("out of order")


def test_metrics_count_searches_and_changes(index, watching, monkeypatch):
    registry = CollectorRegistry()
    watching(hybrid.Prometheus(registry))

    def value(name, **labels):
        return registry.get_sample_value(name, {"index": "shop", **labels})

    index.search(QUERY)
    index.search_many([QUERY, QUERY])
    index.update([document(7), document(1)])
    index.delete(["2"])
    with pytest.raises(hybrid.NotFoundError):
        index.delete(["99"])
    with monkeypatch.context() as patched:
        patched.setattr(hybrid.Dense, "scorer", broken)
        index.search(QUERY)
        patched.setattr(hybrid.BM25, "scorer", broken)
        with pytest.raises(hybrid.BranchError):
            index.search(QUERY)
    assert value("hybrid_searches_total", outcome="exact") == 3
    assert value("hybrid_searches_total", outcome="degraded") == 1
    assert value("hybrid_searches_total", outcome="failed") == 1
    assert value("hybrid_degraded_total", part="dense") == 1
    assert value("hybrid_search_seconds_count", stage="total") == 5
    assert value("hybrid_search_seconds_count", stage="bm25") == 4
    total, part = (value("hybrid_search_seconds_sum", stage=stage) for stage in ("total", "bm25"))
    assert total > part > 0
    assert value("hybrid_changes_total", outcome="committed") == 2
    assert value("hybrid_changes_total", outcome="failed") == 1
    assert value("hybrid_change_seconds_count") == 3
    assert value("hybrid_documents") == 5
    assert value("hybrid_deleted_documents") == 2
    assert value("hybrid_segments") == 2
    assert value("hybrid_generation") == 3


def test_traces_show_the_stages_below_the_search(index, watching):
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    watching(hybrid.OpenTelemetry(provider))
    with provider.get_tracer("caller").start_as_current_span("request"):
        index.search(QUERY)
    index.add([document(8)])
    spans = {span.name: span for span in exporter.get_finished_spans()}
    search = spans["hybrid.search"]
    assert search.parent.span_id == spans["request"].context.span_id
    assert search.attributes["hybrid.hits"] == 5
    assert "word" not in str(search.attributes)
    stages = ["filter", "bm25", "dense", "fuse", "documents"]
    for name in stages:
        stage = spans[f"hybrid.search.{name}"]
        assert stage.parent.span_id == search.context.span_id
        assert search.start_time <= stage.start_time + 1_000_000
        assert stage.end_time <= search.end_time + 1_000_000
    assert spans["hybrid.change"].attributes["hybrid.documents"] == 6


def test_a_failed_search_is_an_error_in_traces(index, watching, monkeypatch):
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    watching(hybrid.OpenTelemetry(provider))
    monkeypatch.setattr(hybrid.Dense, "scorer", broken)
    with pytest.raises(hybrid.BranchError):
        index.search(QUERY, strict=True)
    (search,) = [span for span in exporter.get_finished_spans() if span.name == "hybrid.search"]
    assert search.status.status_code.name == "ERROR"


def test_an_observer_that_fails_does_not_touch_a_search(index, watching, caplog):
    class Failing:
        searched = changed = staticmethod(broken)

    watching(Failing())
    assert len(index.search(QUERY)) == 5
    index.delete(["1"])
    assert [record.name for record in caplog.records] == ["hybrid.observing"] * 2


def test_records_say_what_they_are_about(index, caplog, monkeypatch):
    monkeypatch.setattr(hybrid.Dense, "scorer", broken)
    index.search(QUERY)
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("hybrid.engine", logging.WARNING)
    assert (record.branch, record.generation) == ("dense", 1)


def test_nothing_is_printed_unless_somebody_listens():
    code = "import hybrid, logging; logging.getLogger('hybrid.engine').warning('%s', 'careful')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")
    done = subprocess.run(
        [sys.executable, "-c", f"import logging; logging.basicConfig(); {code}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "careful" in done.stderr
