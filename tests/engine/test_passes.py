"""One pass of a model serves every branch that names it."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import hybrid
from hybrid.batches import DenseBatch, Encoded, SparseBatch

VOCABULARY = [chr(n) for n in range(ord("a"), ord("z") + 1)]


class Letters:
    """A model of letters: dense (how many of a, b, c) and sparse (how many of each), in one pass."""

    representations = ("dense", "sparse")
    dimension, normalized, vocabulary = 3, False, VOCABULARY

    def __init__(self, fail=False):
        self.passes, self.fail = [], fail

    def fingerprint(self):
        return {"model": "letters"}

    def encode(self, texts, side, representations, progress=None):
        self.passes.append((side, tuple(texts), tuple(representations)))
        if self.fail and side == "query":
            raise RuntimeError("out of memory")
        counts = np.array([[text.count(letter) for letter in VOCABULARY] for text in texts], np.float32)
        rows, terms = np.nonzero(counts)
        cut = np.zeros(len(texts), np.bool_)
        indptr = np.searchsorted(rows, np.arange(len(texts) + 1)).astype(np.int64)
        return Encoded(
            dense=DenseBatch(counts[:, :3].copy(), cut) if "dense" in representations else None,
            sparse=SparseBatch(indptr, terms.astype(np.int32), counts[rows, terms], cut)
            if "sparse" in representations
            else None,
        )


BOTH = hybrid.Pipeline([hybrid.Sparse("letters"), hybrid.Dense("letters"), hybrid.BM25()])
DOCUMENTS = [hybrid.Document("1", "abba"), hybrid.Document("2", "cab"), hybrid.Document("3", "zoo")]


@pytest.fixture
def index(tmp_path):
    encoder = Letters()
    with hybrid.create(tmp_path / "index", DOCUMENTS, BOTH, encoders={"letters": encoder}) as index:
        encoder.passes.clear()
        yield index, encoder


def test_documents_are_encoded_once_for_both_branches(tmp_path):
    encoder = Letters()
    with hybrid.create(tmp_path / "index", [], BOTH, encoders={"letters": encoder}) as index:
        encoder.passes.clear()
        index.add(DOCUMENTS)
    assert encoder.passes == [("document", ("abba", "cab", "zoo"), ("sparse", "dense"))]


def test_a_query_is_encoded_once_for_both_branches(index):
    index, encoder = index
    result = index.search("ab")
    assert encoder.passes == [("query", ("ab",), ("sparse", "dense"))]
    assert result.hits[0].scores["sparse"] == result.hits[0].scores["dense"] == 4.0  # 2 a's and 2 b's


def test_many_queries_are_one_pass_and_equal_queries_one_text(index):
    index, encoder = index
    results = index.search_many(["ab", "zz", "ab"])
    assert encoder.passes == [("query", ("ab", "zz"), ("sparse", "dense"))]
    assert [r.hits[0].id for r in results] == ["1", "3", "1"]


def test_only_what_is_wanted_is_made(index):
    index, encoder = index
    index.search("ab", branches=["dense", "bm25"])
    index.retrieve("ab", branch="sparse")
    index.search("ab", branches=["bm25"])
    assert [wanted for _, _, wanted in encoder.passes] == [("dense",), ("sparse",)]


def test_what_a_text_brings_is_not_made(index):
    index, encoder = index
    query = hybrid.Query("ab", vectors={"dense": [0, 0, 1.0]})
    scores = {hit.id: hit.scores["dense"] for hit in index.search(query)}
    assert scores == {"1": 0.0, "2": 1.0, "3": 0.0}  # how many c's
    index.add([hybrid.Document("4", "cc", vectors={"sparse": {"x": 2.0}}), hybrid.Document("5", "xx")])
    assert encoder.passes[1:] == [
        ("document", ("xx",), ("sparse", "dense")),  # the sparse branch asked first
        ("document", ("cc",), ("sparse", "dense")),
    ]
    found = index.retrieve(hybrid.Query("", vectors={"sparse": {"x": 1.0}}), branch="sparse")
    assert (found.ids, found.scores.tolist()) == (["4", "5"], [2.0, 2.0])


def test_a_failed_pass_is_not_tried_again_for_the_next_branch(tmp_path):
    encoder = Letters()
    with hybrid.create(tmp_path / "index", DOCUMENTS, BOTH, encoders={"letters": encoder}) as index:
        encoder.fail = True
        encoder.passes.clear()
        result = index.search("abba")
        assert result.degraded == ("sparse", "dense")
        assert [hit.id for hit in result] == ["1"]
        assert len(encoder.passes) == 1
        with pytest.raises(hybrid.BranchError, match="out of memory"):
            index.search("abba", strict=True)


def test_explanations_name_the_model_s_terms(index):
    index, _ = index
    part = next(part for part in index.explain("ab", "1").branches if part.name == "sparse")
    assert {match.term: match.score for match in part.terms} == {"a": 2.0, "b": 2.0}


def test_a_model_that_gives_something_else_is_refused(tmp_path):
    class Vectors(Letters):
        representations = ("dense",)

    with pytest.raises(hybrid.EncoderError, match="'letters' gives no sparse representation; it gives dense"):
        hybrid.create(tmp_path / "index", [], BOTH, encoders={"letters": Vectors()})
    assert not (tmp_path / "index").exists()


@pytest.mark.parametrize(
    ("weights", "terms", "message"),
    [([np.nan], [0], "nan"), ([0.0], [0], r"0\.0"), ([1e9], [0], "1000000000"), ([1.0], [26], "26")],
)
def test_wrong_weights_are_refused(index, monkeypatch, weights, terms, message):
    index, encoder = index

    def wrong(texts, side, representations, progress=None):
        cut = np.zeros(len(texts), np.bool_)
        sparse = SparseBatch(np.array([0, 1]), np.int32(terms), np.float32(weights), cut)
        return Encoded(DenseBatch(np.zeros((1, 3), np.float32), cut), sparse)

    monkeypatch.setattr(encoder, "encode", wrong)
    with pytest.raises(hybrid.EncoderError, match=message):
        index.add([hybrid.Document("4", "cc")])
    assert len(index) == 3


def test_too_few_rows_are_refused(index, monkeypatch):
    index, encoder = index
    monkeypatch.setattr(encoder, "encode", lambda texts, *_: Letters().encode(texts[:-1], *_))
    with pytest.raises(hybrid.EncoderError, match="gave 1 of them for 2 texts"):
        index.add([hybrid.Document("4", "cc"), hybrid.Document("5", "dd")])


def test_threads_share_a_pass():
    from hybrid.encoders import Model
    from hybrid.engine.passes import OnePass

    encoder = Letters()
    model = Model.of("letters", encoder)
    together = OnePass(lambda _: model, {"letters": ("dense", "sparse")})
    start, found = threading.Barrier(8), []

    def ask(n):
        start.wait()
        view = together.dense("letters") if n % 2 else together.sparse("letters")
        found.append(view.encode_queries(["abc"]))

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(encoder.passes) == 1
