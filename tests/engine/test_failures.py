"""Rerankers that fail in the middle of a query: the order before them is returned, and they are named."""

from __future__ import annotations

import numpy as np
import pytest

import hybrid

DOCUMENTS = [
    hybrid.Document("a", "ant"),
    hybrid.Document("b", "ant bee"),
    hybrid.Document("c", "ant bee cat"),
]
STAGES = [hybrid.Rerank("reverse", top=3), hybrid.Rerank("last", top=2)]
BEFORE = ["c", "b", "a"]


class Reverse:
    """A reranker that turns the order around."""

    def __init__(self):
        self.asked = 0

    def score(self, query, documents):
        self.asked += 1
        return np.arange(len(documents), dtype=np.float32)


class Last:
    """A reranker that does what it was told."""

    def __init__(self, answer):
        self.answer = answer

    def score(self, query, documents):
        return self.answer(documents)


def out_of_memory(documents):
    import torch

    raise torch.OutOfMemoryError("CUDA out of memory")


def fail(error):
    def answer(documents):
        raise error

    return answer


@pytest.fixture
def opened(tmp_path):
    def make(last, **more):
        rerankers = {"reverse": Reverse(), "last": last}
        pipeline = hybrid.Pipeline([hybrid.BM25(analyzer="simple")], rerank=STAGES)
        return hybrid.create(tmp_path / "i", DOCUMENTS, pipeline, rerankers=rerankers, **more)

    return make


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (fail(MemoryError()), "MemoryError"),
        (out_of_memory, "CUDA out of memory"),
        (fail(RuntimeError("broken")), "broken"),
        (fail(hybrid.RemoteError("HTTP 503", 503)), "HTTP 503"),
        (fail(ConnectionRefusedError("refused")), "refused"),
        (lambda documents: [1.0], r"shape \(1,\) for 2 documents"),
        (lambda documents: np.zeros((2, 1), np.float32), r"shape \(2, 1\) for 2 documents"),
        (lambda documents: [1.0, float("nan")], "not finite"),
        (lambda documents: np.array([1.0, 1e300]), "not finite"),
        (lambda documents: None, "one finite number"),
        (lambda documents: ["a", "b"], "could not convert"),
    ],
    ids=["memory", "torch", "error", "service", "refused", "few", "shape", "nan", "huge", "none", "text"],
)
def test_a_failure_leaves_the_order_before_it(opened, answer, reason):
    with opened(Last(answer)) as index:
        result = index.search("ant")
        assert [hit.id for hit in result] == BEFORE
        assert result.degraded == ("rerank:last",)
        (said,) = result.notes["rerank:last"]
        with pytest.raises(hybrid.BranchError, match=f"rerank:last failed: .*{reason}"):
            index.search("ant", strict=True)
        assert all("rerank:last" not in hit.scores for hit in result)
        assert said in str(result.explain(1))
        assert [part.name for part in result.explain(1).stages] == ["rerank:reverse"]


class Partial:
    """A reranker that could not judge everything, and says so."""

    def score(self, query, documents):
        raise AssertionError("a stage asks for the notes")

    def judge(self, query, documents):
        notes = ("places 1 to 2 keep their order: no permutation",) if query == "ant" else ()
        return np.float32([1, 2]), notes


def test_a_reranker_may_say_what_it_could_not_do(opened):
    assert isinstance(Partial(), hybrid.JudgingReranker)
    assert not isinstance(Reverse(), hybrid.JudgingReranker)
    with opened(Partial()) as index:
        result = index.search("ant")
        assert [hit.id for hit in result] == ["b", "c", "a"]  # what it did give counts
        assert result.degraded == ("rerank:last",)
        assert result.notes == {"rerank:last": ("places 1 to 2 keep their order: no permutation",)}
        explanation = result.explain(1)
        assert [part.name for part in explanation.stages] == ["rerank:reverse", "rerank:last"]
        assert "rerank:last (places 1 to 2 keep their order: no permutation)" in str(explanation)
        assert index.search("bee").notes == {}
        with pytest.raises(hybrid.BranchError, match="places 1 to 2"):
            index.search("ant", strict=True)


def test_explaining_asks_no_reranker_again(tmp_path):
    reverse = Reverse()
    pipeline = hybrid.Pipeline([hybrid.BM25()], rerank=[hybrid.Rerank("reverse")])
    with hybrid.create(tmp_path / "i", DOCUMENTS, pipeline, rerankers={"reverse": reverse}) as index:
        result = index.search("ant")
        assert [result.explain(hit.rank).rank for hit in result] == [1, 2, 3]
        assert reverse.asked == 1
