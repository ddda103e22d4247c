"""BM25 over segments: to the bit what loops over all live documents give."""

from __future__ import annotations

import gc
import math
import threading
import weakref
from dataclasses import replace

import bm25s
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hybrid.errors import PipelineError
from hybrid.index.sparse import SparseRows, SparseStatistics, bm25_scorer
from hybrid.kernels.weighting import VARIANTS, Weighting
from hybrid.types import TermMatch
from tests.index.layouts import layouts
from tests.index.segmented import PREFIX, Layout, check, mask_of, stored
from tests.index.terms import from_terms

IDF = {
    "lucene": lambda n, df: math.log1p((n - df + 0.5) / (df + 0.5)),
    "robertson": lambda n, df: max(0.0, math.log((n - df + 0.5) / (df + 0.5))),
    "atire": lambda n, df: math.log(n / df),
    "bm25l": lambda n, df: math.log((n + 1) / (df + 0.5)),
    "bm25+": lambda n, df: math.log((n + 1) / df),
}


def ratio(weighting, tf, length, average):
    """What the idf is multiplied by, without the factor k1 + 1 and without BM25+'s constant."""
    n, m = 1 - weighting.b, weighting.b / average if average else 0.0
    shift = weighting.delta if weighting.variant == "bm25l" else 0.0  # (c + δ) / (k1 + c + δ), by the norm
    above = tf + (shift * n + shift * m * length)
    return above / (tf + ((weighting.k1 + shift) * n + (weighting.k1 + shift) * m * length))


def brute_force(documents, live, query, weighting, weights=None):
    """{position: score} of the live documents, by loops in plain Python floats."""
    weights = weights or (1.0,) * len(documents[0]) if documents else ()
    used = [field for field, weight in enumerate(weights) if weight > 0]
    factor = 1.0 if weighting.variant in {"lucene", "robertson"} else weighting.k1 + 1
    constant = weighting.delta if weighting.variant == "bm25+" else 0.0

    def over(fields):
        return sum(weight * value for weight, value in zip(weights, fields, strict=True))

    totals = [sum(len(documents[i][field]) for i in live) for field in range(len(weights))]
    found = []
    for term in set(query):
        df = sum(any(term in documents[j][field] for field in used) for j in live)
        if df:
            found.append((query.count(term) * IDF[weighting.variant](len(live), df), term))
    found.sort(key=lambda pair: (-pair[0], pair[1]))
    scores = {}
    for i in live:
        score, length = 0.0, over(map(len, documents[i]))
        for weight, term in found:
            tf = over([field.count(term) for field in documents[i]])
            if tf > 0:
                s = ratio(weighting, tf, length, over(totals) / len(live))
                score += weight * factor * s + weight * constant
        scores[i] = np.float32(score)
    return scores


def rows_of(documents, fields=1):
    return lambda members: from_terms([documents[i] for i in members], fields)


words = st.sampled_from(["a", "b", "c", "d", "e"])
queries = st.lists(st.sampled_from(["a", "b", "c", "d", "e", "unknown", ""]), max_size=6)
weightings = st.builds(
    Weighting,
    st.sampled_from(VARIANTS),
    st.sampled_from([0, 0.9, 1.2, 2]),
    st.sampled_from([0, 0.4, 0.75, 1]),
)


@st.composite
def collections(draw):
    fields = draw(st.integers(1, 2))
    some = st.lists(st.lists(words, max_size=6), min_size=fields, max_size=fields)
    documents = draw(st.lists(some, min_size=1, max_size=12))
    weights = st.sampled_from([0.0, 0.3, 1.0, 2.5])
    chosen = st.tuples(*[weights] * fields).filter(any)
    return fields, documents, draw(layouts(len(documents))), draw(st.one_of(st.none(), chosen))


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(collections(), queries, weightings)
def test_equals_loops_over_all_documents(collection, query, weighting):
    fields, documents, layout, weights = collection
    expected = brute_force(documents, layout.live, query, weighting, weights)
    scores = {layout.ids[i]: score for i, score in expected.items()}
    ranked = {layout.ids[i] for i in layout.eligible if expected[i] > 0}
    with stored(layout, rows_of(documents, fields)) as store:
        for merged in (False, True):
            if merged:
                store.optimize({PREFIX: SparseRows})
            snapshot = store.snapshot
            mask = mask_of(snapshot, layout)
            scorer = bm25_scorer(snapshot, PREFIX, query, weighting, weights, mask)
            check(scorer, snapshot, layout, scores, ranked)
            for i in layout.live:
                docnum = snapshot.docnum(layout.ids[i])
                matches = scorer.matches(docnum)
                assert sum(m.score for m in matches) == pytest.approx(float(expected[i]), rel=1e-6)
                assert matches == sorted(matches, key=lambda m: (-m.score, m.term))
                used = [f for n, f in enumerate(documents[i]) if weights is None or weights[n] > 0]
                assert sorted(m.term for m in matches) == sorted(set(query) & {t for f in used for t in f})


FOUR = [[["rare", "most"]], [["half", "most", "most"]], [["half", "half", "most"]], [["x", "y", "z", "z"]]]
ONE_SEGMENT = Layout(["d0", "d1", "d2", "d3"], [0] * 4, frozenset(), frozenset())


def test_by_hand():
    """N = 4, average length 3: norms .75, 1, 1, 1.25."""
    with stored(ONE_SEGMENT, rows_of(FOUR)) as store:
        snapshot = store.snapshot
        scorer = bm25_scorer(
            snapshot, PREFIX, ["most", "half", "half"], Weighting(k1=1.2, b=0.75), None, snapshot.mask()
        )
        most, half = math.log(1 + 1.5 / 3.5), math.log(1 + 2.5 / 2.5)
        expected = [
            most * 1 / (1 + 1.2 * 0.75),
            most * 2 / 3.2 + 2 * half * 1 / 2.2,
            most * 1 / 2.2 + 2 * half * 2 / 3.2,
            0,
        ]
        np.testing.assert_allclose(scorer.scores(np.arange(4)), expected, rtol=1e-7)
        assert scorer.top(10).docnums.tolist() == [2, 1, 0]
        assert scorer.ranks(np.arange(4)).tolist() == [3, 2, 1, 0]
        assert scorer.matches(2) == [
            TermMatch("half", pytest.approx(2 * half), pytest.approx(2 * half * 2 / 3.2)),
            TermMatch("most", pytest.approx(most), pytest.approx(most / 2.2)),
        ]
        assert scorer.matches(3) == []
        assert scorer.minimum() == 0
        assert scorer.lower_bound == 0


def test_field_weights_by_hand():
    """Title counts 2, text 0.5: weighted lengths 2·1 + 0.5·2 = 3 and 2·0 + 0.5·4 = 2, average 2.5."""
    documents = [[["a"], ["a", "b"]], [[], ["a", "a", "c", "c"]]]
    layout = Layout(["x", "y"], [0, 1], frozenset(), frozenset())
    with stored(layout, rows_of(documents, 2)) as store:
        snapshot = store.snapshot
        scorer = bm25_scorer(snapshot, PREFIX, ["a"], Weighting(k1=1.2, b=0.75), (2.0, 0.5), snapshot.mask())
        idf = math.log(1 + 0.5 / 2.5)
        first = 2.5 / (2.5 + 1.2 * (0.25 + 0.75 * 3 / 2.5))
        second = 1.0 / (1.0 + 1.2 * (0.25 + 0.75 * 2 / 2.5))
        expected = np.float32([idf * first, idf * second])
        np.testing.assert_allclose(scorer.scores(snapshot.find(["x", "y"])), expected, rtol=1e-7)


def test_a_field_of_weight_zero_is_not_there():
    documents = [[["a"], ["b"]], [["a"], ["a", "b"]], [["c"], ["b", "c"]]]
    layout = Layout(["x", "y", "z"], [0, 0, 1], frozenset(), frozenset())
    with (
        stored(layout, rows_of(documents, 2)) as store,
        stored(layout, rows_of([[d[1]] for d in documents])) as one,
    ):
        weighted = bm25_scorer(
            store.snapshot, PREFIX, ["a", "c"], Weighting("bm25+", 0), (0, 1), store.snapshot.mask()
        )
        plain = bm25_scorer(
            one.snapshot, PREFIX, ["a", "c"], Weighting("bm25+", 0), None, one.snapshot.mask()
        )
        assert weighted.scores(np.arange(3)).tolist() == plain.scores(np.arange(3)).tolist()
        assert weighted.scores(np.arange(3))[0] == 0
        assert weighted.matches(0) == []


@pytest.mark.parametrize("weights", [(1.0,), (1.0, 1.0, 1.0), (0, 0), (-1, 2), (math.nan, 1), (math.inf, 1)])
def test_field_weights_that_are_not_accepted(weights):
    layout = replace(ONE_SEGMENT, ids=["d0"], homes=[0])
    with stored(layout, rows_of([[["a"], ["b"]]], 2)) as store, pytest.raises(PipelineError, match="field"):
        bm25_scorer(store.snapshot, PREFIX, ["a"], Weighting(), weights, store.snapshot.mask())


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("query", [["a"], [], ["unknown"], ["a", "b", "a"]])
def test_edges(variant, query):
    """One document; only empty documents; no documents."""
    for documents in ([[["a"]]], [[[]]], [[[]], [[]]], []):
        ids = [f"d{i}" for i in range(len(documents))]
        layout = Layout(ids, [0] * len(ids), frozenset(), frozenset())
        expected = brute_force(documents, layout.live, query, Weighting(variant))
        with stored(layout, rows_of(documents)) as store:
            scorer = bm25_scorer(
                store.snapshot, PREFIX, query, Weighting(variant), None, store.snapshot.mask()
            )
            scores = {layout.ids[i]: score for i, score in expected.items()}
            check(scorer, store.snapshot, layout, scores, {id for id, score in scores.items() if score > 0})


def test_statistics_are_exact_after_deletes():
    documents = [[["a", "b"], ["a"]], [["a"], []], [[], []], [["c"], ["a", "c", "c"]]]
    layout = Layout(["p", "q", "r", "s"], [0, 0, 1, 1], frozenset([1]), frozenset())
    with stored(layout, rows_of(documents, 2)) as store:
        statistics = SparseStatistics.of(store.snapshot, PREFIX)
        assert statistics is SparseStatistics.of(store.snapshot, PREFIX)
        assert statistics.documents == 3
        assert statistics.total_lengths == (3, 4)
        assert statistics.average_length() == 7 / 3
        assert statistics.average_length((2.0, 0.5)) == (6 + 2) / 3
        assert [statistics.term(t).frequency for t in ("a", "b", "c", "d")] == [2, 1, 1, 0]
        assert statistics.term("a", (1.0, 0.0)).frequency == 1
        assert statistics.term("a") is statistics.term("a")
        store.optimize({PREFIX: SparseRows})
        merged = SparseStatistics.of(store.snapshot, PREFIX)
        assert merged is not statistics
        assert (merged.documents, merged.total_lengths) == (3, (3, 4))
        assert merged.term("a").frequency == 2


def test_tables_are_kept_and_forgotten():
    with stored(ONE_SEGMENT, rows_of(FOUR)) as store:
        statistics = SparseStatistics.of(store.snapshot, PREFIX)
        kept = statistics.table(0, list)
        assert statistics.table(0, list) is kept
        for n in range(20):
            statistics.table(n, list)
        assert len(statistics._tables) <= 8


def test_a_snapshot_is_freed_with_its_statistics():
    with stored(ONE_SEGMENT, rows_of(FOUR)) as store:
        snapshot = store.snapshot
        bm25_scorer(snapshot, PREFIX, ["most"], Weighting(), None, snapshot.mask()).top(1)
        statistics = weakref.ref(SparseStatistics.of(snapshot, PREFIX))
        with store.transaction() as change:
            change.delete(np.array([0]))
        del snapshot
        gc.collect()
        assert statistics() is None


def test_many_threads_get_the_same():
    random = np.random.default_rng(0)
    documents = [[random.choice(list("abcdefghij"), size=8).tolist()] for _ in range(300)]
    layout = Layout([f"{i:03}" for i in range(300)], [i % 3 for i in range(300)], frozenset([7]), frozenset())
    with stored(layout, rows_of(documents)) as store:
        snapshot, found, barrier = store.snapshot, [], threading.Barrier(8)

        def search():
            barrier.wait()
            scorer = bm25_scorer(snapshot, PREFIX, ["a", "b", "j"], Weighting(), None, snapshot.mask())
            found.append(scorer.top(20).docnums.tolist())

        threads = [threading.Thread(target=search) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(found) == 8
    assert all(one == found[0] for one in found)
    assert len(found[0]) == 20


@pytest.mark.parametrize("variant", VARIANTS)
def test_equals_bm25s(variant):
    """On 300 documents; what bm25s adds for terms that a document lacks is subtracted."""
    random = np.random.default_rng(5)
    vocabulary = [f"w{n}" for n in range(50)]
    odds = 1 / np.arange(1, 51)
    corpus = [
        random.choice(vocabulary, size=random.integers(1, 30), p=odds / odds.sum()).tolist()
        for _ in range(300)
    ]
    ids = [f"{i:03}" for i in range(300)]
    layout = Layout(ids, [i % 4 for i in range(300)], frozenset(), frozenset())
    weighting = Weighting(variant, 1.5, 0.6)
    delta = weighting.delta or 0.5
    credit = {"bm25l": 2.5 * delta / (1.5 + delta), "bm25+": delta}.get(variant, 0.0)
    peer = bm25s.BM25(method=variant, k1=1.5, b=0.6, delta=delta, dtype="float64")
    peer.index(corpus, show_progress=False)
    with stored(layout, rows_of([[terms] for terms in corpus])) as store:
        snapshot = store.snapshot
        for query in (["w5"], ["w3", "w40", "w12"], ["w1", "w1", "w49", "nothing"]):
            scorer = bm25_scorer(snapshot, PREFIX, query, weighting, None, snapshot.mask())
            expected = peer.get_scores(query)
            for term in query:
                df = sum(term in document for document in corpus)
                lacking = np.array([term not in document for document in corpus])
                expected -= lacking * credit * (IDF[variant](300, df) if df else 0)
            found = scorer.scores(snapshot.find(ids))
            np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
            assert (found > 0).sum() > 5
