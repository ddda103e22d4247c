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
