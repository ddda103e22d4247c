"""One branch's own ranking, through the public face."""

from __future__ import annotations

import numpy as np
import pytest

import hybrid

DOCUMENTS = [
    hybrid.Document("a", "red fox", metadata={"n": 1}, vectors={"dense": [1, 0]}),
    hybrid.Document("b", "red red dog", metadata={"n": 2}, vectors={"dense": [0.5, 0.5]}),
    hybrid.Document("c", "blue dog", metadata={"n": 3}, vectors={"dense": [0, 1]}),
]


@pytest.fixture
def index(tmp_path):
    pipeline = hybrid.Pipeline([hybrid.BM25(analyzer="simple"), hybrid.Dense(dimension=2)])
    with hybrid.create(tmp_path / "index", DOCUMENTS, pipeline) as index:
        yield index


def test_a_branch_with_its_own_scores(index):
    found = index.retrieve(hybrid.Query("", {"dense": [1.0, 0.5]}), 2, branch="dense")
    assert (found.ids, found.scores.tolist(), len(found)) == (["a", "b"], [1.0, 0.75], 2)
    assert found.scores.dtype == np.float32
    lexical = index.retrieve("red", branch="bm25")
    query = hybrid.Query("red", {"dense": [1, 0]})
    theirs = {hit.id: hit.scores["bm25"] for hit in index.search(query)}
    assert lexical.ids == ["b", "a"]
    assert lexical.scores.tolist() == [theirs[id] for id in lexical.ids]


def test_many_are_each(index):
    queries = ["red", "dog", "", "nothing", "blue dog"]
    many = index.retrieve_many(queries, 2, {"n": {"$gt": 1}}, branch="bm25")
    each = [index.retrieve(query, 2, {"n": {"$gt": 1}}, branch="bm25") for query in queries]
    assert [found.ids for found in many] == [found.ids for found in each]
    assert [found.ids for found in many] == [["b"], ["c", "b"], [], [], ["c", "b"]]
    assert index.retrieve_many([], branch="bm25") == []


def test_the_branch_must_be_known(index, tmp_path):
    with pytest.raises(hybrid.PipelineError, match=r"several branches; say which: 'bm25', 'dense'"):
        index.retrieve("red")
    with pytest.raises(hybrid.PipelineError, match="no branch 'bm52'"):
        index.retrieve("red", branch="bm52")
    with pytest.raises(hybrid.InputError, match="k is 0"):
        index.retrieve("red", 0, branch="bm25")
    with pytest.raises(hybrid.InputError, match="queries is 'red'"):
        index.retrieve_many("red", branch="bm25")
    with hybrid.create(tmp_path / "one", [], hybrid.Pipeline([hybrid.BM25()])) as one:
        assert one.retrieve("red").ids == []


def test_documents_by_a_filter(index):
    where = {"n": {"$gte": 2}}
    index.delete(["b"])
    index.add([hybrid.Document("a2", "grey cat", metadata={"n": 2}, vectors={"dense": [3, 4]})])
    assert index.ids() == ["a", "a2", "c"]
    assert index.ids(where) == ["a2", "c"]
    assert index.count(where) == 2
    assert index.count() == 3
    assert [document.id for document in index.documents(where)] == ["a2", "c"]
    assert next(index.documents(where)).vectors["dense"].tolist() == [3, 4]
    assert index.ids({"n": 9}) == []
    with pytest.raises(hybrid.FilterError, match=r"unknown operator '\$gtx'"):
        index.documents({"n": {"$gtx": 1}})


def test_vectors_of_documents_and_queries(index, tmp_path):
    vectors = index.vectors(["c", "a", "c"])
    assert vectors.dtype == np.float32
    assert vectors.tolist() == [[0, 1], [1, 0], [0, 1]]
    assert index.vectors([], "dense").shape == (0, 2)
    assert index.embed(hybrid.Query("", {"dense": [3, 1]})).tolist() == [3, 1]
    with pytest.raises(hybrid.NotFoundError, match="'x'"):
        index.vectors(["a", "x"])
    with pytest.raises(hybrid.InputError, match="ids is 'a'"):
        index.vectors("a")
    with pytest.raises(hybrid.PipelineError, match="asked for is 'bm25'; the dense branches are: 'dense'"):
        index.vectors(["a"], "bm25")
    two = hybrid.Pipeline([hybrid.Dense(dimension=1), hybrid.Dense(dimension=2, name="other")])
    with (
        hybrid.create(tmp_path / "two", [], two) as both,
        pytest.raises(hybrid.PipelineError, match=r"which is not said; .* 'dense', 'other'"),
    ):
        both.embed(hybrid.Query("", {"dense": [1], "other": [1, 2]}))
    cut = hybrid.Pipeline([hybrid.Dense()], passages=hybrid.Passages(hybrid.Fixed(3)))
    with hybrid.create(tmp_path / "c", [], cut) as it, pytest.raises(hybrid.PipelineError, match="passages"):
        it.vectors([])
