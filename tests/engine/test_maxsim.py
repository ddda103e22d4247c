"""Late interaction: as a branch, and as a rerank stage over stored token vectors."""

from __future__ import annotations

import numpy as np
import pytest

import hybrid
from hybrid.batches import TokenBatch

WORDS = {"ant": [1.0, 0.0], "bee": [0.0, 1.0], "cat": [0.6, 0.8], "dog": [-1.0, 0.0]}


class Words:
    """An encoder of words: each has a vector of its own."""

    token_dimension = 2

    def __init__(self):
        self.texts = []

    def fingerprint(self):
        return {"model": "words"}

    def encode_documents(self, texts, progress=None):
        self.texts += texts
        tokens = [self.spell(text, "document") for text in texts]
        indptr = np.concatenate([[0], np.cumsum([len(words) for words in tokens])]).astype(np.int64)
        vectors = [WORDS.get(word, [0.0, 0.0]) for words in tokens for word in words]
        return TokenBatch(indptr, np.float32(vectors).reshape(-1, 2), np.zeros(len(texts), np.bool_))

    def encode_queries(self, texts):
        return self.encode_documents(texts)

    def spell(self, text, side):
        return text.split() or ["[empty]"]


DOCUMENTS = [
    hybrid.Document("1", "ant bee"),
    hybrid.Document("2", "cat ant"),
    hybrid.Document("3", "dog"),
    hybrid.Document("4", ""),
]
# by hand, for the query "ant bee": 1 and 1; 1 and .8; -1 and 0; 0 and 0
SCORES = {"1": 2.0, "2": 1.8, "3": -1.0, "4": 0.0}
STORAGES = ["float32", "float16", "int8"]


def make(path, pipeline, **more):
    return hybrid.create(path, DOCUMENTS, pipeline, encoders={"words": Words()}, **more)


@pytest.mark.parametrize("storage", STORAGES)
def test_a_branch_by_hand(tmp_path, storage):
    branch = hybrid.Multivector("words", storage=storage)
    with make(tmp_path / "index", hybrid.Pipeline([branch])) as index:
        found = index.retrieve("ant bee", k=4)
        assert found.ids == ["1", "2", "4", "3"]
        assert found.scores.tolist() == pytest.approx([2.0, 1.8, 0.0, -1.0], abs=0.01)
        assert index.search("ant bee").exact
        index.delete(["1"])
        index.update([hybrid.Document("3", "bee bee ant")])
        index.add([hybrid.Document("0", "dog bee")])
        assert index.retrieve("ant bee", k=4).ids == ["3", "2", "0", "4"]
        index.optimize()
        assert index.retrieve("ant bee", k=4).ids == ["3", "2", "0", "4"]
        assert index.stats().branches["multivector"] == {"dimension": 2, "tokens": 8, "truncated": 0}


def test_a_stage_rescores_the_top_and_explains_it(tmp_path):
    pipeline = hybrid.Pipeline([hybrid.BM25()], rerank=[hybrid.MaxSim("words", top=10, storage="float32")])
    with make(tmp_path / "index", pipeline) as index:
        result = index.search("bee cat")  # 1: 1 + .8, 2: .8 + 1
        assert {hit.id: hit.scores["maxsim"] for hit in result} == pytest.approx({"1": 1.8, "2": 1.8})
        result = index.search("ant cat")  # 1: 1 + .8, 2: 1 + 1
        assert [hit.id for hit in result] == ["2", "1"]
        assert [hit.score for hit in result] == pytest.approx([2.0, 1.8])
        (stage,) = result.explain(2).stages
        assert [(m.term, round(m.score, 6)) for m in stage.terms] == [("ant → ant", 1.0), ("cat → bee", 0.8)]
        assert "cat → bee" in str(result.explain(2))


def test_the_stage_and_the_branch_share_vectors_and_a_pass(tmp_path):
    encoder = Words()
    stage = hybrid.MaxSim("words", top=2)
    pipeline = hybrid.Pipeline([hybrid.BM25(), hybrid.Multivector("words")], rerank=[stage])
    assert [store.name for store in pipeline.stores] == ["bm25", "multivector"]
    alone = hybrid.Pipeline([hybrid.BM25()], rerank=[stage])
    assert [store.name for store in alone.stores] == ["bm25", "maxsim"]
    with hybrid.create(tmp_path / "i", DOCUMENTS, pipeline, encoders={"words": encoder}) as index:
        encoder.texts.clear()
        result = index.search("ant")
        assert encoder.texts == ["ant"]
        assert result.hits[0].scores["maxsim"] == result.hits[0].scores["multivector"]


def test_a_stage_equals_brute_force_whatever_is_stored(tmp_path):
    rng = np.random.default_rng(0)
    pipeline = hybrid.Pipeline(
        [hybrid.BM25()], rerank=[hybrid.MaxSim(dimension=8, storage="float16", top=50)], depth=50
    )
    matrices = [rng.standard_normal((rng.integers(1, 30), 8)).astype(np.float16) for _ in range(60)]
    documents = [
        hybrid.Document(f"{n:02}", "word", vectors={"maxsim": matrix}) for n, matrix in enumerate(matrices)
    ]
    query = rng.standard_normal((5, 8)).astype(np.float32)
    with hybrid.create(tmp_path / "index", documents, pipeline) as index:
        result = index.search(hybrid.Query("word", vectors={"maxsim": query}), k=50)
        expected = {
            f"{n:02}": (query.astype(float) @ m.astype(float).T).max(1).sum() for n, m in enumerate(matrices)
        }
        assert {hit.id: hit.score for hit in result} == pytest.approx(
            {hit.id: expected[hit.id] for hit in result}, rel=1e-6
        )
        assert len(result) == 50
        np.testing.assert_array_equal(index.get("07").vectors["maxsim"], matrices[7].astype(np.float32))


def test_another_model_or_storage_is_refused_and_the_stage_may_be_left_out(tmp_path):
    pipeline = hybrid.Pipeline([hybrid.BM25()], rerank=[hybrid.MaxSim("words")])
    make(tmp_path / "index", pipeline).close()
    other = hybrid.Pipeline([hybrid.BM25()], rerank=[hybrid.MaxSim("words", storage="int8")])
    with pytest.raises(hybrid.FingerprintError, match=r"maxsim\.storage.*'float16'.*'int8'"):
        hybrid.open(tmp_path / "index", pipeline=other, encoders={"words": Words()})
    with hybrid.open(tmp_path / "index", pipeline=hybrid.Pipeline([hybrid.BM25()])) as index:
        assert [hit.id for hit in index.search("bee")] == ["1"]
    assert hybrid.parse_recipe(hybrid.format_recipe(pipeline)) == pipeline


def test_a_stage_that_fails_leaves_the_order_and_is_named(tmp_path, monkeypatch):
    pipeline = hybrid.Pipeline([hybrid.BM25()], rerank=[hybrid.MaxSim("words")])
    with make(tmp_path / "index", pipeline) as index:
        monkeypatch.setattr(Words, "encode_queries", lambda *_: 1 / 0)
        result = index.search("ant")
        assert result.degraded == ("maxsim",)
        assert [hit.id for hit in result] == ["1", "2"]
        with pytest.raises(hybrid.BranchError, match="division by zero"):
            index.search("ant", strict=True)


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        ([[1, 2, 3]], r"shape \(1, 3\); \(tokens, 2\)"),
        ([1, 2], r"shape \(2,\)"),
        (np.empty((0, 2)), "at least one token"),
        ([[1, np.inf]], "NaN or infinite"),
        ("text", "not lists of numbers"),
    ],
)
def test_wrong_token_vectors_are_refused(tmp_path, vectors, message):
    pipeline = hybrid.Pipeline([hybrid.Multivector(dimension=2)])
    with hybrid.create(tmp_path / "index", [], pipeline) as index:
        with pytest.raises(hybrid.DocumentError, match=message):
            index.add([hybrid.Document("a", vectors={"multivector": vectors})])
        with pytest.raises(hybrid.InputError, match=message):
            index.search(hybrid.Query("", vectors={"multivector": vectors}))
        with pytest.raises(hybrid.DocumentError, match="'b' brings no token vectors"):
            index.add([hybrid.Document("b", "text")])
        assert len(index) == 0


@pytest.mark.parametrize(
    "options",
    [{}, {"model": "m", "dimension": 2}, {"model": ""}, {"dimension": 0}, {"model": "m", "storage": "int4"}],
)
def test_wrong_settings_are_refused(options):
    with pytest.raises(hybrid.PipelineError):
        hybrid.Multivector(**options)
    with pytest.raises(hybrid.PipelineError):
        hybrid.Pipeline([hybrid.BM25()], rerank=[hybrid.MaxSim(**options)])
