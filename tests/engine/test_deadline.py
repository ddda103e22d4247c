"""A query's deadline: what is late is left out and named, and the rest answers in time."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

import hybrid

DOCUMENTS = [hybrid.Document("a", "ant"), hybrid.Document("b", "ant bee"), hybrid.Document("c", "bee")]


class Slow:
    """An encoder, and a reranker, that wait until they are told to go on."""

    dimension, normalized = 2, False

    def __init__(self):
        self.go, self.asked = threading.Event(), 0

    def fingerprint(self):
        return {"model": "slow"}

    def encode_documents(self, texts, progress=None):
        return hybrid.DenseBatch(np.ones((len(texts), 2), np.float32), np.zeros(len(texts), np.bool_))

    def encode_queries(self, texts):
        self.asked += 1
        if self.asked > 1:  # the first is the probe
            self.go.wait(20)
        return self.encode_documents(texts)

    def score(self, query, documents):
        self.asked += 1
        self.go.wait(20)
        return np.arange(len(documents), dtype=np.float32)


@pytest.fixture
def slow():
    slow = Slow()
    yield slow
    slow.go.set()


def timed(call):
    started = time.perf_counter()
    return call(), time.perf_counter() - started


def test_a_late_reranker_leaves_the_order_before_it(tmp_path, slow):
    fast = type(
        "Fast", (), {"score": lambda self, query, documents: -np.arange(len(documents), dtype=float)}
    )()
    pipeline = hybrid.Pipeline([hybrid.BM25()], rerank=[hybrid.Rerank("fast"), hybrid.Rerank("slow")])
    rerankers = {"fast": fast, "slow": slow}
    with hybrid.create(tmp_path / "i", DOCUMENTS, pipeline, rerankers=rerankers) as index:
        result, took = timed(lambda: index.search("ant", deadline=1.0))
        assert took < 15  # the reranker would wait for 20
        assert result.degraded == ("rerank:slow",)
        slow.go.set()
        before = index.search("ant")
        assert before.degraded == ()
        assert [hit.id for hit in result] == ["a", "b"]  # the order of the stage before
        assert [hit.id for hit in before] == ["b", "a"]


class Busy:
    """A reranker that computes and computes: nothing can interrupt it from outside."""

    def __init__(self, stop):
        self.stop = stop

    def score(self, query, documents):
        until = time.monotonic() + 20
        while not self.stop.is_set() and time.monotonic() < until:
            pass
        return np.arange(len(documents), dtype=np.float32)


def test_a_reranker_that_cannot_be_interrupted_is_left_behind(tmp_path):
    stop = threading.Event()
    pipeline = hybrid.Pipeline([hybrid.BM25()], rerank=[hybrid.Rerank("busy")])
    try:
        with hybrid.create(tmp_path / "i", DOCUMENTS, pipeline, rerankers={"busy": Busy(stop)}) as index:
            result, took = timed(lambda: index.search("ant", deadline=0.3))
        assert took < 15
        assert [hit.id for hit in result] == ["a", "b"]
        assert result.notes == {"rerank:busy": ("it had not ended at the deadline of 0.3 s",)}
    finally:
        stop.set()


def test_a_result_is_explained_after_its_deadline(tmp_path, monkeypatch):
    with hybrid.create(tmp_path / "i", DOCUMENTS, hybrid.Pipeline([hybrid.BM25()])) as index:
        result = index.search("ant", deadline=30)
        later = time.monotonic() + 60
        monkeypatch.setattr("hybrid.engine.deadline.time.monotonic", lambda: later)
        assert result.explain(2).rank == 2


def test_strict_raises_instead(tmp_path, slow):
    pipeline = hybrid.Pipeline([hybrid.BM25()], rerank=[hybrid.Rerank("slow")])
    with (
        hybrid.create(tmp_path / "i", DOCUMENTS, pipeline, rerankers={"slow": slow}) as index,
        pytest.raises(hybrid.BranchError, match=r"rerank:slow failed.*deadline of 0\.2 s"),
    ):
        index.search("ant", deadline=0.2, strict=True)


def test_a_late_branch_is_left_out(tmp_path, slow):
    pipeline = hybrid.Pipeline([hybrid.BM25(), hybrid.Dense("slow")])
    with hybrid.create(tmp_path / "i", DOCUMENTS, pipeline, encoders={"slow": slow}) as index:
        result, took = timed(lambda: index.search("ant", deadline=1.0))
        assert took < 15
        assert result.degraded == ("dense",)
        assert not result.exact
        assert [hit.id for hit in result] == ["a", "b"]
        with pytest.raises(hybrid.BranchError, match="every branch failed"):
            index.search("ant", branches=["dense"], deadline=0.1)


def test_in_time_nothing_changes(tmp_path):
    with hybrid.create(tmp_path / "i", DOCUMENTS, hybrid.Pipeline([hybrid.BM25()])) as index:
        assert index.search("ant", deadline=30).hits == index.search("ant").hits
        with pytest.raises(hybrid.FilterError):  # errors come through the other thread
            index.search("ant", where={"$nonsense": 1}, deadline=30)


@pytest.mark.parametrize("deadline", [1e300, 10**400, np.float32(30), np.int64(30)])
def test_a_deadline_may_be_any_number_and_as_far_off_as_one_likes(tmp_path, deadline):
    with hybrid.create(tmp_path / "i", DOCUMENTS, hybrid.Pipeline([hybrid.BM25()])) as index:
        assert index.search("ant", deadline=deadline, strict=True).hits == index.search("ant").hits


@pytest.mark.parametrize("deadline", [0, -1, True, "1", float("nan"), float("inf")])
def test_a_deadline_is_a_number_of_seconds(tmp_path, deadline):
    with (
        hybrid.create(tmp_path / "i", DOCUMENTS, hybrid.Pipeline([hybrid.BM25()])) as index,
        pytest.raises(hybrid.InputError, match="deadline is"),
    ):
        index.search("ant", deadline=deadline)
