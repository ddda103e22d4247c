"""Logs, metrics and traces: what they say of searches and changes, and that they stay out of the way."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import CollectorRegistry

import hybrid
from hybrid.batches import DenseBatch
from hybrid.engine import Ask, search_together
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


class Slow:
    """A model that takes its time for each pass, and fails at the word "fail"."""

    dimension, normalized, seconds = 2, False, 0.05

    def fingerprint(self):
        return {"model": "slow"}

    def encode_documents(self, texts, progress=None):
        return DenseBatch(np.float32([[len(text), 1] for text in texts]), np.zeros(len(texts), np.bool_))

    def encode_queries(self, texts):
        time.sleep(self.seconds)
        if any("fail" in text for text in texts):
            raise RuntimeError("out of order")
        return self.encode_documents(texts)


@pytest.fixture
def modelled(tmp_path, monkeypatch):
    """An index with that model, which searches in two threads."""
    monkeypatch.setenv("HYBRID_THREADS", "2")
    pipeline = hybrid.Pipeline(branches=[hybrid.BM25(analyzer="simple"), hybrid.Dense("slow")])
    documents = [hybrid.Document(str(n), f"word {n}") for n in range(5)]
    with hybrid.create(tmp_path / "shop", documents, pipeline, encoders={"slow": Slow()}) as opened:
        yield opened


class Noted:
    """An observer that keeps what it is told."""

    def __init__(self):
        self.searches, self._lock = [], threading.Lock()

    def searched(self, event):
        with self._lock:
            self.searches.append(event)

    def changed(self, event):
        raise NotImplementedError


def batched(index, texts):
    """Both ways to search for several queries at once."""
    yield index.search_many(texts)
    found = {}
    search_together(index, [Ask(text) for text in texts], found.__setitem__)
    yield [found[n] for n in range(len(texts))]


def test_searches_that_were_encoded_together_are_told_as_single_ones(modelled, watching):
    noted = Noted()
    watching(noted)
    (single,) = [modelled.search("word 1")]
    stages = {name for name, _, _ in noted.searches.pop().spans}
    assert "dense.encode" in stages
    for results in batched(modelled, ["word 1", "word 2", "other"]):
        events, noted.searches = noted.searches, []
        assert results[0] == single
        assert [result.timings.keys() for result in results] == [single.timings.keys()] * 3
        assert all(r.timings["total"] > r.timings["dense.encode"] >= Slow.seconds for r in results)
        assert len(events) == 3
        passes = set()
        for event in events:
            spans = {name: (begun, ended) for name, begun, ended in event.spans}
            assert spans.keys() == stages
            assert event.spans[-1][0] == "total"
            begun, ended = spans["total"]
            assert ended - begun >= Slow.seconds
            passes.add(spans["dense.encode"])
        assert len(passes) == 1  # one pass, and each has it


def test_a_pass_that_fails_is_told_by_each_search(modelled, watching):
    noted = Noted()
    watching(noted)
    for results in batched(modelled, ["word 1", "fail"]):
        events, noted.searches = noted.searches, []
        assert sorted(result.degraded for result in results) == [(), ("dense",)]
        assert sorted(tuple(event.degraded) for event in events) == [(), ("dense",)]
    with pytest.raises(hybrid.BranchError, match="out of order"):
        modelled.search_many(["fail", "fail more"], strict=True)
    assert {str(event.error) for event in noted.searches} == {"branch 'dense' failed: out of order"}


def test_traces_of_batches_stand_below_whoever_asked(modelled, watching):
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    watching(hybrid.OpenTelemetry(provider))
    tracer = provider.get_tracer("caller")
    with tracer.start_as_current_span("many"):
        modelled.search_many([f"word {n}" for n in range(8)])
    asks = []
    for n in range(4):
        with tracer.start_as_current_span(f"request {n}"):
            asks.append(Ask(f"word {n}"))
    thread = threading.Thread(target=search_together, args=(modelled, asks, lambda n, outcome: None))
    thread.start()
    thread.join()
    spans = {span.context.span_id: span for span in exporter.get_finished_spans()}
    searches = [span for span in spans.values() if span.name == "hybrid.search"]
    above = [spans[span.parent.span_id].name for span in searches]
    assert sorted(above) == ["many"] * 8 + [f"request {n}" for n in range(4)]
    for span in spans.values():
        if span.name == "hybrid.search.dense.encode":
            assert spans[span.parent.span_id].start_time <= span.start_time + 1_000_000


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
