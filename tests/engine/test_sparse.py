"""The branch of learned sparse weights, through the public face."""

from __future__ import annotations

import itertools
import json
import math

import numpy as np
import pytest

import hybrid
from hybrid.index.sparse.postings import PostingsWriter

WEIGHTS = {
    "cat": {"cat": 2.0, "animal": 0.5},
    "dog": {"dog": 2.0, "animal": 1.0},
    "car": {"car": 3.0, "zero": 0.0},
    "none": {},
}


def document(id, weights):
    return hybrid.Document(id, f"a {id}", vectors={"sparse": weights})


@pytest.fixture
def index(tmp_path):
    documents = [document(id, weights) for id, weights in WEIGHTS.items()]
    with hybrid.create(tmp_path / "index", documents, hybrid.Pipeline([hybrid.Sparse()])) as index:
        yield index


def search(index, weights, **options):
    result = index.search(hybrid.Query("?", {"sparse": weights}), 10, **options)
    return [(hit.id, hit.scores["sparse"]) for hit in result]


def test_scores_by_hand(index):
    assert search(index, {"animal": 2.0, "cat": 0.25, "unknown": 9.0}) == [("dog", 2.0), ("cat", 1.5)]
    assert search(index, {"car": 1, "zero": 1}) == [("car", 3.0)]
    assert search(index, {"car": 0.0}) == []
    assert search(index, {}) == []


def test_changes_and_what_is_kept(index):
    index.update([document("cat", {"cat": 0.1})])
    index.add([document("new", {"animal": 4.0})])
    index.delete(["dog"])
    assert search(index, {"animal": 1.0, "cat": 1.0}) == [("new", 4.0), ("cat", float(np.float16(0.1)))]
    assert index.get("cat").vectors == {"sparse": {"cat": float(np.float16(0.1))}}
    assert index.get("none").vectors == {"sparse": {}}
    assert index.stats().branches["sparse"] == {"weights": 7}
    index.optimize()
    assert index.stats().branches["sparse"] == {"weights": 3}
    assert search(index, {"animal": 1.0, "cat": 1.0})[0] == ("new", 4.0)


def test_weights_in_8_bits(tmp_path):
    documents = [document(id, weights) for id, weights in WEIGHTS.items()]
    pipeline = hybrid.Pipeline([hybrid.Sparse(storage="float8")])
    with hybrid.create(tmp_path / "i", documents, pipeline) as index:
        assert search(index, {"animal": 2.0, "cat": 0.25}) == [("dog", 2.0), ("cat", 1.5)]
        index.update([document("cat", {"cat": 0.1, "tiny": 0.0001, "small": 0.001})])
        index.add([document("new", {"animal": 124.0})])
        kept = {"cat": 0.1015625, "small": 2.0**-9}
        for _ in range(2):
            assert index.get("cat").vectors == {"sparse": kept}
            assert search(index, {"animal": 1.0, "cat": 1.0})[0] == ("new", 124.0)
            index.optimize()
        segment = index._store.snapshot.segments[0].segment
        assert segment["sparse/postings.values"].dtype == np.uint8
        with pytest.raises(hybrid.DocumentError, match="numbers from 0 to 124"):
            index.add([document("more", {"a": 124.5})])
    recipe = hybrid.format_recipe(pipeline)
    assert hybrid.parse_recipe(recipe) == pipeline
    with pytest.raises(hybrid.FingerprintError, match=r"sparse\.weights: the index has 'float8'"):
        hybrid.open(tmp_path / "i", pipeline=hybrid.Pipeline([hybrid.Sparse()]))
    with pytest.raises(hybrid.PipelineError, match="storage is 'int8'; it is one of float16, float8"):
        hybrid.Sparse(storage="int8")


def test_an_explanation_shows_the_terms(index):
    result = index.search(hybrid.Query("?", {"sparse": {"animal": 2.0, "cat": 0.25}}))
    (part,) = result.explain(2).branches
    assert [(m.term, m.weight, m.score) for m in part.terms] == [("animal", 2.0, 1.0), ("cat", 0.25, 0.5)]


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ([1.0], "give a mapping"),
        ({"a": -1}, "'a': -1"),
        ({"a": math.nan}, "'a': nan"),
        ({"a": "x"}, "'a': 'x'"),
        ({1: 1.0}, "1: 1.0"),
        ({"a": 60001}, "from 0 to 60000"),
        (None, "mapping"),
    ],
)
def test_weights_that_are_not_accepted(index, weights, said):
    with pytest.raises(hybrid.DocumentError, match=said) as caught:
        index.add([document("new", weights)])
    assert "'new'" in str(caught.value)
    assert len(index) == 4
    if weights != {"a": 60001}:
        with pytest.raises(hybrid.InputError, match=said):
            search(index, weights)


def test_weights_that_are_missing(index):
    with pytest.raises(hybrid.DocumentError, match="document 'new' brings no weights for branch 'sparse'"):
        index.add([hybrid.Document("new", "text")])
    with pytest.raises(hybrid.InputError, match="the query brings no weights for branch 'sparse'"):
        index.search("cat")


@pytest.mark.parametrize("cut", [0, -1, 1.5, "1", True])
def test_a_query_cut_that_is_not_accepted(cut):
    with pytest.raises(hybrid.PipelineError, match="query_cut"):
        hybrid.Sparse(query_cut=cut)


def test_with_a_cut_candidates_come_from_the_heaviest_terms_and_scores_from_all(index, tmp_path):
    query = {"animal": 1.0, "cat": 0.25, "car": 0.5}
    assert search(index, query) == [("car", 1.5), ("cat", 1.0), ("dog", 1.0)]
    pipeline = hybrid.Pipeline([hybrid.Sparse(query_cut=1)])
    with hybrid.open(tmp_path / "index", pipeline=pipeline) as other:
        assert search(other, query) == [("cat", 1.0), ("dog", 1.0)]
        assert not other.search(hybrid.Query("?", {"sparse": query})).exact
        assert other.search(hybrid.Query("?", {"sparse": {"cat": 1}})).exact  # nothing was cut
    assert index.search(hybrid.Query("?", {"sparse": query})).exact


def test_a_recipe_and_a_corpus_file(tmp_path):
    pipeline = hybrid.Pipeline([hybrid.Sparse(query_cut=8, name="splade"), hybrid.BM25()])
    assert hybrid.parse_recipe(hybrid.format_recipe(pipeline)) == pipeline
    assert repr(pipeline.branches[0]) == "Sparse(query_cut=8, name='splade')"
    corpus = tmp_path / "corpus.jsonl"
    corpus.write_text(json.dumps({"_id": "a", "text": "x", "vectors": {"splade": {"x": 0.5}}}) + "\n")
    with hybrid.create(tmp_path / "index", hybrid.read(corpus), pipeline) as index:
        assert index.get("a").vectors == {"splade": {"x": 0.5}}


@pytest.mark.parametrize("storage", ["float16", "float8"])
def test_documents_without_terms_take_none_from_others(tmp_path, storage):
    """Whichever segments are merged, and where all of one's documents have none."""
    pipeline = hybrid.Pipeline([hybrid.Sparse(storage=storage)])
    for number, order in enumerate(itertools.permutations(["b none", "c none", "a half"])):
        path = tmp_path / str(number)
        with hybrid.create(path, [], pipeline, merging=hybrid.MergePolicy(factor=2)) as index:
            for name in order:
                id, kind = name.split()
                index.add([document(id, {"ant": 0.5} if kind == "half" else {})])
            for _ in range(2):
                assert search(index, {"ant": 2.0}) == [("a", 1.0)]
                assert index.get("a").vectors == {"sparse": {"ant": 0.5}}
                assert not index.verify(deep=True).findings
                index.optimize()


def test_verifying_finds_weights_that_were_merged_as_counts(tmp_path, monkeypatch):
    """As versions before did where the first segment had none: without the greatest weight of each term."""
    with monkeypatch.context() as patched:
        patched.setattr(
            PostingsWriter, "_worth", lambda self, starts, docs, values: np.ones(len(docs), np.uint8)
        )
        pipeline = hybrid.Pipeline([hybrid.Sparse(storage="float8")])
        hybrid.create(tmp_path / "i", [document("a", {"ant": 0.5})], pipeline).close()
    (finding,) = hybrid.verify(tmp_path / "i").findings
    assert "other greatest weights than terms" in str(finding)
