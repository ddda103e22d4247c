"""Neighbours of good candidates that join a rerank stage (graph-based adaptive reranking)."""

from __future__ import annotations

import numpy as np
import pytest

import hybrid
from hybrid.engine.expansion import adapt
from hybrid.kernels.inner import inner_products

# Words find a, b and c; the vectors chain them to d, e and f, which no word finds.
ANGLES = {"a": 0, "b": 90, "c": 180, "d": 100, "e": 110, "f": 170, "g": 270, "h": 300}
TEXTS = {"a": "ant ant ant x", "b": "ant ant x y", "c": "ant x y z"}
WORTH = {"a": 1.0, "b": 2.0, "c": 0.0, "d": 5.0, "e": 9.0, "f": 3.0, "g": 4.0, "h": 0.5}
QUERY = hybrid.Query("ant", {"dense": [0.0, 1.0]})


def documents():
    return [
        hybrid.Document(
            id,
            TEXTS.get(id, "other words"),
            metadata={"even": angle % 20 == 0},
            vectors={"dense": unit(angle)},
        )
        for id, angle in ANGLES.items()
    ]


def unit(degrees):
    return [float(np.cos(np.radians(degrees))), float(np.sin(np.radians(degrees)))]


class Worth:
    """A reranker that knows what documents are worth, and remembers what it was asked."""

    def __init__(self):
        self.batches = []

    def score(self, query, documents):
        self.batches.append([document.id for document in documents])
        return np.float32([WORTH[document.id] for document in documents])


def opened(path, stage, worth, **more):
    pipeline = hybrid.Pipeline(
        [hybrid.BM25(analyzer="simple"), hybrid.Dense(dimension=2)],
        rerank=[stage],
        **more,
    )
    return hybrid.create(path, documents(), pipeline, rerankers={"worth": worth}, overwrite=True)


def stage(**more):
    options = {"top": 5, "expand": hybrid.Neighbours("dense", k=2, batch=1)} | more
    return hybrid.Rerank("worth", **options)


def test_the_algorithm_by_hand(tmp_path):
    """a (0°) brings h and b; h's turn, then b's, whose d and e outrank all that waits."""
    worth = Worth()
    with opened(tmp_path / "i", stage(), worth) as index:
        result = index.search(QUERY, k=8, branches=["bm25"])
        # list: a b c. a: neighbours h (60°), b (90°) wait at 1. Turn of neighbours: h; it brings g (30°), a.
        # Turn of the list: b, at 2: it brings d (10°) and e (20°). Neighbours: d, at 5: it brings b, e.
        # The budget of 5 is spent by the list's turn: c.
        assert worth.batches == [["a"], ["h"], ["b"], ["d"], ["c"]]
        assert [hit.id for hit in result] == ["d", "b", "a", "h", "c"]
        explained = {hit.id: result.explain(hit.rank).stages[0] for hit in result}
        assert (explained["d"].source, explained["d"].rank_before, explained["d"].rank_after) == (
            "b",
            None,
            1,
        )
        assert (explained["b"].source, explained["b"].rank_before) == (None, 2)
        assert "neighbour of b -> rank 1 (5.0000)" in str(result.explain(1))
        assert len(worth.batches) == 5  # explaining asks nothing
        d = result.hits[0]
        assert d.scores["bm25"] == 0.0  # its true score
        assert d.scores["fused"] == 0.0


def test_with_neighbours_better_documents_are_found_at_the_same_cost(tmp_path):
    plain, expanded = Worth(), Worth()
    with opened(tmp_path / "i", stage(expand=None), plain) as index:
        assert [hit.id for hit in index.search(QUERY, branches=["bm25"])] == ["b", "a", "c"]
    with opened(tmp_path / "i", stage(expand=hybrid.Neighbours(k=3, batch=2)), expanded) as index:
        assert index.search(QUERY, k=1, branches=["bm25"])[0].id == "e"
    assert sum(map(len, expanded.batches)) == 5


def test_filters_and_deletes_hold_for_neighbours(tmp_path):
    worth = Worth()
    with opened(tmp_path / "i", stage(top=8, expand=hybrid.Neighbours(k=7, batch=2)), worth) as index:
        for _ in range(2):  # what is remembered of the whole collection is not taken
            result = index.search(QUERY, where={"even": True}, k=8, branches=["bm25"])
            even = {id for id, angle in ANGLES.items() if angle % 20 == 0}
            assert {hit.id for hit in result} == even
            assert {hit.id for hit in index.search(QUERY, k=8, branches=["bm25"])} == set(ANGLES)
        index.delete(["e"])
        assert {hit.id for hit in index.search(QUERY, k=8, branches=["bm25"])} == set(ANGLES) - {"e"}
        index.add([hybrid.Document("e", "new", vectors={"dense": unit(280)})])
        assert [hit.id for hit in index.search(QUERY, k=1, branches=["bm25"])] == ["e"]


@pytest.mark.parametrize("weight", [0.5, 1])
def test_where_nothing_is_found_nothing_is_asked(tmp_path, weight):
    worth = Worth()
    with opened(tmp_path / "i", stage(weight=weight), worth) as index:
        result = index.search(QUERY, where={"even": "neither"}, strict=True)
        assert (list(result), result.degraded, worth.batches) == ([], (), [])


def test_interpolation_puts_what_comes_in_below_the_list(tmp_path):
    with opened(tmp_path / "i", stage(weight=0.5, top=5), Worth()) as index:
        result = index.search(QUERY, k=8, branches=["bm25"])
        after = {hit.id: hit.score for hit in result}
        before = {hit.id: hit.scores["fused"] for hit in result}
        # d and h have a fused score of 0, below all of the list: their share of the order before is 0
        worths = {id: WORTH[id] / 5 for id in "abcdh"}
        shares = {id: before[id] / before["a"] for id in "abcdh"}
        assert after == pytest.approx({id: (worths[id] + shares[id]) / 2 for id in "abcdh"}, abs=1e-6)


def test_neighbours_by_text(tmp_path):
    """No word of the query is in b; the words that a and b share are what joins them."""
    texts = {"a": "ant bee cat", "b": "bee cat", "c": "ant", "d": "dog"}
    pipeline = hybrid.Pipeline(
        [hybrid.BM25(analyzer="simple")],
        rerank=[hybrid.Rerank("worth", expand=hybrid.Neighbours("bm25"))],
    )
    with hybrid.create(
        tmp_path / "i",
        [hybrid.Document(id, text) for id, text in texts.items()],
        pipeline,
        rerankers={"worth": Worth()},
    ) as index:
        result = index.search("ant")
        assert [hit.id for hit in result] == ["b", "a", "c"]
        assert result.explain(1).stages[0].source == "a"


def test_maxsim_with_neighbours(tmp_path):
    """Late interaction over stored token vectors finds what no word did."""
    stage = hybrid.MaxSim(dimension=2, storage="float32", expand=hybrid.Neighbours("dense", k=2))
    pipeline = hybrid.Pipeline([hybrid.BM25(analyzer="simple"), hybrid.Dense(dimension=2)], rerank=[stage])
    made = [
        hybrid.Document(d.id, d.text, vectors={**d.vectors, "maxsim": [d.vectors["dense"]]})
        for d in documents()
    ]
    query = hybrid.Query("ant", {"dense": [0.0, 1.0], "maxsim": [unit(110)]})
    with hybrid.create(tmp_path / "i", made, pipeline) as index:
        result = index.search(query, branches=["bm25"])
        assert result.hits[0].id == "e"
        assert result.hits[0].score == pytest.approx(1.0)


def test_a_model_that_orders_lists_is_refused(tmp_path):
    worth = Worth()
    worth.pointwise = False
    with (
        opened(tmp_path / "i", stage(), worth) as index,
        pytest.raises(hybrid.PipelineError, match="what it says of two batches cannot be compared"),
    ):
        index.search(QUERY)


def test_adapting_is_exact_where_the_graph_is_whole():
    """Every neighbour joins: at a budget of all, all is rescored once, whatever the batches."""
    rng = np.random.default_rng(3)
    vectors = rng.standard_normal((40, 4)).astype(np.float32)
    worth = rng.random(40).astype(np.float32)

    def neighbours(docnums):
        return [np.argsort(-inner_products(vectors, vectors[n]), kind="stable")[1:6] for n in docnums]

    for batch in (1, 3, 16):
        found = adapt(np.arange(10), lambda n: (worth[n], ()), neighbours, 40, batch, np.ndarray.tolist)
        assert len(set(found.docnums.tolist())) == len(found.docnums)
        np.testing.assert_array_equal(found.scores, worth[found.docnums])
        assert set(found.sources) == set(found.docnums.tolist()) - set(range(10))
        assert len(found.docnums) > 30
    few = adapt(np.arange(10), lambda n: (worth[n], ("note",)), neighbours, 4, 3, np.ndarray.tolist)
    assert (len(few.docnums), few.notes) == (4, ("note", "note"))
