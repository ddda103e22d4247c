"""Inner-product search over segments: to the bit what loops over all live documents give."""

from __future__ import annotations

import itertools
from unittest.mock import patch

import faiss
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hybrid.errors import InputError
from hybrid.index.dense import DenseRows, DenseScorer, Stored, Vectors, flat
from hybrid.index.dense.flat import FlatSegment
from hybrid.kernels.inner import inner_products, row_lengths
from tests.index.layouts import layouts
from tests.index.segmented import PREFIX, Layout, check, mask_of, stored


def rows_of(vectors, form=None):
    vectors = np.asarray(vectors, np.float32)
    return lambda members: DenseRows.of(vectors[members], np.zeros(len(members), np.bool_), form)


def kept(vectors):
    return Stored(Vectors.of(vectors, "float32"), row_lengths(vectors))


NOWHERE = np.array([-np.inf])


def plain(n: int, segments: int = 1) -> Layout:
    return Layout([f"{i:04}" for i in range(n)], [i % segments for i in range(n)], frozenset(), frozenset())


# Coarse numbers make ties; the tiny steps lie below the error of float32 sums, above that of scores.
numbers = st.one_of(
    st.integers(-2, 2).map(float),
    st.sampled_from([1 + 2.0**-23, 1 - 2.0**-24, 1 / 3, 1e-30, 1e10]),
    st.floats(-1, 1, width=32),
)


@st.composite
def collections(draw):
    dimension = draw(st.integers(1, 5))
    vector = st.lists(numbers, min_size=dimension, max_size=dimension)
    few = draw(st.lists(vector, min_size=1, max_size=6))
    vectors = draw(st.lists(st.sampled_from(few), min_size=1, max_size=14))
    return np.array(vectors, np.float32), np.array(draw(vector), np.float32), draw(layouts(len(vectors)))


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(collections(), st.sampled_from([0, 1000]), st.sampled_from([0, 1, 32]))
def test_equals_loops_over_all_documents(collection, few, pad):
    """Whether documents are all scored exactly, or found by faiss first."""
    vectors, query, layout = collection
    true = [inner_products(vectors[i : i + 1], query)[0] for i in range(len(vectors))]
    scores = {layout.ids[i]: true[i] for i in layout.live}
    with stored(layout, rows_of(vectors)) as store, patch.multiple(flat, _FEW=few, _PAD=pad):
        for merged in (False, True):
            if merged:
                store.optimize({PREFIX: DenseRows})
            snapshot = store.snapshot
            scorer = DenseScorer(snapshot, PREFIX, query, False, mask_of(snapshot, layout))
            check(scorer, snapshot, layout, scores, {layout.ids[i] for i in layout.eligible})
            assert scorer.matches(0) == []
            longest = row_lengths(vectors[layout.live]).max(initial=0)
            assert scorer.lower_bound == pytest.approx(-longest * row_lengths(query[None])[0], rel=1e-6)


@pytest.mark.parametrize("masked", [0, 0.3, 0.95])
def test_equals_numpy_and_faiss_on_random_vectors(masked):
    random = np.random.default_rng(3)
    vectors = random.standard_normal((3000, 48)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors[1500:1600] = vectors[:100]  # ties
    hidden = frozenset(np.flatnonzero(random.random(3000) < masked).tolist())
    layout = Layout([f"{i:04}" for i in range(3000)], [0] * 3000, frozenset(), hidden)
    eligible = np.array(layout.eligible)
    index = faiss.IndexFlatIP(48)
    index.add(vectors[eligible])
    with stored(layout, rows_of(vectors)) as store:
        snapshot = store.snapshot
        for query in random.standard_normal((5, 48)).astype(np.float32):
            true = vectors.astype(np.float64) @ query.astype(np.float64)
            scorer = DenseScorer(snapshot, PREFIX, query, False, mask_of(snapshot, layout))
            top = scorer.top(50)
            np.testing.assert_allclose(top.scores, np.sort(true[eligible])[::-1][:50], rtol=1e-6)
            np.testing.assert_allclose(top.scores, index.search(query[None], 50)[0][0], rtol=1e-5)
            assert [
                (-s, d) for d, s in zip(top.docnums.tolist(), top.scores.tolist(), strict=True)
            ] == sorted((-s, d) for d, s in zip(top.docnums.tolist(), top.scores.tolist(), strict=True))
            assert scorer.ranks(top.docnums).tolist() == list(range(1, 51))
            assert scorer.minimum() == pytest.approx(true[eligible].min(), rel=1e-6)
            assert set(scorer.ranks(np.array(sorted(hidden), np.int64)).tolist()) <= {0}


def test_by_hand():
    vectors = [[1, 0], [0, 1], [1, 1], [-1, 0.5]]
    with stored(plain(4, 2), rows_of(vectors)) as store:
        snapshot = store.snapshot
        scorer = DenseScorer(snapshot, PREFIX, np.float32([2, 1]), False, snapshot.mask())
        assert snapshot.ids(scorer.top(3).docnums) == ["0002", "0000", "0001"]
        assert scorer.top(9).scores.tolist() == [3, 2, 1, -1.5]
        assert scorer.ranks(snapshot.find(["0003", "0002"])).tolist() == [4, 1]
        assert scorer.minimum() == -1.5
        assert scorer.lower_bound == pytest.approx(-(10**0.5), rel=1e-6)
        assert DenseScorer(snapshot, PREFIX, [2, 1], True, snapshot.mask()).lower_bound == -1


def test_the_bound_of_opposite_vectors_is_their_score():
    for x in ([1, 0, 0], [1, 1, 0], [2, 2, 1], [1, 2, 3]):
        with stored(plain(1), rows_of([[-c for c in x]])) as store:
            scorer = DenseScorer(store.snapshot, PREFIX, x, False, store.snapshot.mask())
            assert scorer.lower_bound <= scorer.scores(np.array([0]))[0]
            assert scorer.lower_bound == pytest.approx(-sum(c * c for c in x), rel=1e-15)


def test_deleted_documents_do_not_move_the_bound():
    layout = Layout(["a", "b"], [0, 0], frozenset([0]), frozenset())
    with stored(layout, rows_of([[100, 0], [3, 4]])) as store:
        assert DenseScorer(store.snapshot, PREFIX, [1, 0], False, store.snapshot.mask()).lower_bound == -5


@pytest.mark.parametrize("few", [0, 512])
def test_edges(few):
    """The zero query, everything masked, no documents, k beyond the end."""
    with patch.object(flat, "_FEW", few):
        with stored(plain(5, 2), rows_of(np.ones((5, 3)))) as store:
            snapshot = store.snapshot
            zero = DenseScorer(snapshot, PREFIX, np.zeros(3, np.float32), False, snapshot.mask())
            assert snapshot.ids(zero.top(3).docnums) == ["0000", "0001", "0002"]
            assert zero.top(3).scores.tolist() == [0, 0, 0]
            assert zero.ranks(snapshot.find(["0004", "0000"])).tolist() == [5, 1]
            assert (zero.minimum(), zero.lower_bound) == (0, 0)
            nothing = DenseScorer(snapshot, PREFIX, np.ones(3), False, snapshot.mask({"no": "such"}))
            assert len(nothing.top(3)) == 0
            assert nothing.ranks(np.arange(5)).tolist() == [0] * 5
            assert nothing.minimum() == 0
            assert nothing.scores(np.arange(2)).tolist() == [3, 3]
        with stored(plain(0), rows_of(np.ones((0, 3)))) as store:
            none = DenseScorer(store.snapshot, PREFIX, np.ones(3), False, store.snapshot.mask())
            assert len(none.top(3)) == 0
            assert none.scores(np.empty(0, np.int64)).shape == (0,)
            assert none.ranks(np.empty(0, np.int64)).shape == (0,)
            assert (none.minimum(), none.lower_bound, none.eligible) == (0, 0, 0)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ([1, 2], ["(2,)", "(3,)"]),
        ([[1, 2, 3]], ["(1, 3)", "(3,)"]),
        ([1, np.nan, 0], ["nan", "finite"]),
        ([1, np.inf, 0], ["inf", "finite"]),
        ([1e19, 0, 0], ["1e+19", "1e+18"]),
    ],
)
def test_queries_that_are_not_accepted(query, words):
    with stored(plain(2), rows_of(np.ones((2, 3)))) as store, pytest.raises(InputError) as caught:
        DenseScorer(store.snapshot, PREFIX, np.array(query, np.float32), False, store.snapshot.mask())
    for word in words:
        assert word in str(caught.value)


def nearly_tied(n: int, dimension: int) -> tuple[np.ndarray, np.ndarray]:
    """Vectors whose scores differ by less than float32 sums can tell."""
    random = np.random.default_rng(n)
    base = random.standard_normal(dimension).astype(np.float32)
    vectors = np.tile(base, (n, 1))
    vectors[np.arange(n), random.integers(0, dimension, n)] += random.choice(
        np.float32([-1e-6, 0, 1e-6, 1e-7]), n
    )
    return vectors, random.standard_normal(dimension).astype(np.float32)


def test_float32_search_would_be_wrong_here_and_this_is_not():
    """Every path must fall back, and the fast search alone must fail, or this test proves nothing."""
    vectors, query = nearly_tied(2000, 384)
    true = inner_products(vectors, query)
    order = np.lexsort((np.arange(2000), -true))
    segment = FlatSegment(kept(vectors), query, None)
    found, _ = segment._search(100)
    assert found.tolist() != order[:100].tolist()
    assert segment._column is None
    ordinals, scores = segment.top(100, NOWHERE)
    assert segment._column is not None
    assert ordinals.tolist() == order[:100].tolist()
    assert scores.tolist() == true[order[:100]].tolist()
    with stored(plain(2000, 3), rows_of(vectors)) as store:
        scorer = DenseScorer(store.snapshot, PREFIX, query, False, store.snapshot.mask())
        best = scorer.top(50)
        assert store.snapshot.ids(best.docnums) == [f"{i:04}" for i in order[:50]]
        docnums = store.snapshot.find([f"{i:04}" for i in order])
        assert scorer.ranks(docnums[::37]).tolist() == list(range(1, 2001))[::37]
        assert scorer.minimum() == true.min()


def test_well_separated_scores_need_no_second_pass():
    random = np.random.default_rng(1)
    vectors = random.standard_normal((5000, 64)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    segment = FlatSegment(kept(vectors), vectors[7], None)
    ordinals, _ = segment.top(10, NOWHERE)
    assert ordinals[0] == 7
    assert segment._column is None


def test_any_number_of_threads():
    vectors, query = nearly_tied(3000, 64)
    threads = faiss.omp_get_max_threads()
    found = []
    try:
        for count, masked in itertools.product((1, 2), (False, True)):
            faiss.omp_set_num_threads(count)
            eligible = np.arange(3000) % 3 > 0 if masked else None
            ordinals, scores = FlatSegment(kept(vectors), query, eligible).top(40, NOWHERE)
            found.append((ordinals.tolist(), scores.tolist()))
    finally:
        faiss.omp_set_num_threads(threads)
    assert found[0] == found[2]
    assert found[1] == found[3]
    assert found[0] != found[1]
