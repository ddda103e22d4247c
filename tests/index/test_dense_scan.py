"""The exact scan gives what comparing every vector gives, bit for bit."""

from __future__ import annotations

from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import hybrid.kernels.scan  # noqa: F401 - so that scans are compiled
from hybrid import Flat, Scan, Tiered
from hybrid.index.dense import DenseRows, DenseScorer, Form, Stored, scan, writing
from hybrid.index.dense.scan import ScanSegment
from hybrid.index.dense.search import Plain
from hybrid.kernels.inner import inner_products
from tests.index.layouts import layouts
from tests.index.segmented import PREFIX, Layout, check, mask_of, stored

numbers = st.one_of(
    st.integers(-2, 2).map(float),
    st.sampled_from([1 + 2.0**-23, 1 - 2.0**-24, 1 / 3, 1e-30, 1e-45, 1e10, 1e17, -1e17]),
    st.floats(-1, 1, width=32),
)


def rows_of(vectors, form):
    vectors = np.asarray(vectors, np.float32)
    return lambda members: DenseRows.of(vectors[members], np.zeros(len(members), np.bool_), form)


def plain(n: int) -> Layout:
    return Layout([f"{i:05}" for i in range(n)], [0] * n, frozenset(), frozenset())


@st.composite
def collections(draw):
    dimension = draw(st.integers(1, 6))
    vector = st.lists(numbers, min_size=dimension, max_size=dimension)
    few = draw(st.lists(vector, min_size=1, max_size=8))
    vectors = draw(st.lists(st.sampled_from(few), min_size=1, max_size=20))
    return np.array(vectors, np.float32), np.array(draw(vector), np.float32), draw(layouts(len(vectors)))


@pytest.mark.parametrize("form", [Form(Scan()), Form(Tiered(2))], ids=repr)
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(collections())
def test_equals_loops_over_all_documents(form, collection):
    vectors, query, layout = collection
    true = [inner_products(vectors[i : i + 1], query)[0] for i in range(len(vectors))]
    scores = {layout.ids[i]: true[i] for i in layout.live}
    with (
        patch.object(writing, "SCAN_FROM", 0),
        patch.object(scan, "_FEW", 0),
        stored(layout, rows_of(vectors, form)) as store,
    ):
        for merged in (False, True):
            if merged:
                store.optimize({PREFIX: DenseRows})
            snapshot = store.snapshot
            scorer = DenseScorer(snapshot, PREFIX, query, False, mask_of(snapshot, layout), form.index)
            assert all(isinstance(search, ScanSegment) for search in scorer._searches)
            check(scorer, snapshot, layout, scores, {layout.ids[i] for i in layout.eligible})


@pytest.mark.parametrize("storage", ["float16", "int8"])
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_what_is_kept_is_what_is_scored(storage, data):
    """The scan of float16 and int8 vectors equals scoring each of them, and merging changes nothing."""
    few = data.draw(st.lists(st.lists(st.floats(-9, 9, width=32), min_size=3, max_size=3), min_size=1))
    vectors = np.array(data.draw(st.lists(st.sampled_from(few), min_size=1, max_size=15)), np.float32)
    query = np.array(data.draw(st.lists(st.floats(-2, 2, width=32), min_size=3, max_size=3)), np.float32)
    layout = data.draw(layouts(len(vectors)))
    form = Form("auto", storage)
    kept = DenseRows.of(vectors, np.zeros(len(vectors), np.bool_), form).kept
    true = kept.products(np.arange(len(vectors)), query)
    exact = kept.values.astype(np.float64) @ query.astype(np.float64)
    exact *= kept.scales if len(kept.scales) else 1
    np.testing.assert_allclose(true, exact, rtol=1e-6, atol=1e-6)
    scores = {layout.ids[i]: true[i] for i in layout.live}
    for least in (0, 1 << 30):  # with codes, and without
        with patch.object(writing, "SCAN_FROM", least), stored(layout, rows_of(vectors, form)) as store:
            for merged in (False, True):
                if merged:
                    store.optimize({PREFIX: DenseRows})
                snapshot = store.snapshot
                scorer = DenseScorer(snapshot, PREFIX, query, True, mask_of(snapshot, layout))
                check(scorer, snapshot, layout, scores, {layout.ids[i] for i in layout.eligible})


def clustered(n: int, dimension: int, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    centres = random.standard_normal((max(1, n // 100), dimension))
    vectors = centres[random.integers(len(centres), size=n)] + random.standard_normal((n, dimension))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("threads", ["1", "2", "3"])
@pytest.mark.parametrize("masked", [0, 0.5, 0.999])
@pytest.mark.parametrize("form", [Form(Scan()), Form(Tiered(16)), Form("auto", "int8")], ids=repr)
def test_equals_every_vector_at_some_size(monkeypatch, threads, masked, form):
    monkeypatch.setenv("HYBRID_THREADS", threads)
    monkeypatch.setattr(scan, "_PART", 4096)  # so that several threads take part
    monkeypatch.setattr(scan, "_FEW", 0)  # so that every tier is looked at
    vectors = clustered(8000, 48)
    vectors[4000:4100] = vectors[:100]  # ties
    random = np.random.default_rng(5)
    hidden = frozenset(np.flatnonzero(random.random(8000) < masked).tolist())
    layout = Layout([f"{i:05}" for i in range(8000)], [0] * 8000, frozenset(), hidden)
    with patch.object(writing, "SCAN_FROM", 0), stored(layout, rows_of(vectors, form)) as store:
        snapshot = store.snapshot
        mask = mask_of(snapshot, layout)
        segment = Stored.of(snapshot.segments[0].segment, PREFIX)
        for query in (vectors[7], clustered(1, 48, 9)[0], -vectors[3]):
            scorer = DenseScorer(snapshot, PREFIX, query, False, mask, form.index)
            every = Plain(segment, query, mask.parts[0])
            for k in (1, 10, 300):
                top, (ordinals, scores) = scorer.top(k), every.top(k, np.array([-np.inf]))
                assert top.docnums.tolist() == ordinals.tolist()
                assert top.scores.tobytes() == scores.tobytes()
            ordinals, scores = every.top(8000, np.array([-np.inf]))
            some = ordinals[:: max(1, len(ordinals) // 50)]
            assert (
                scorer.ranks(some).tolist() == [*range(1, len(ordinals) + 1)][:: max(1, len(ordinals) // 50)]
            )
            assert scorer.minimum() == scores.min()


def test_flat_and_scan_share_an_index():
    """Exact kinds may be exchanged: one that finds no codes compares the vectors."""
    vectors = clustered(3000, 16)
    for built in (Form(Flat()), Form(Scan())):
        with patch.object(writing, "SCAN_FROM", 0), stored(plain(3000), rows_of(vectors, built)) as store:
            assert (f"{PREFIX}/codes.whole" in store.snapshot.segments[0].segment) == (built.index == Scan())
            found = [
                DenseScorer(store.snapshot, PREFIX, vectors[5], False, store.snapshot.mask(), index).top(20)
                for index in ("auto", Flat(), Scan(), Tiered(4))
            ]
            assert len({top.docnums.tobytes() + top.scores.tobytes() for top in found}) == 1


def test_later_segments_are_not_searched_below_what_earlier_ones_found():
    """The floor that k documents reach goes from segment to segment."""
    vectors = clustered(4000, 16)
    order = np.argsort(-inner_products(vectors, vectors[0]), kind="stable")
    layout = Layout([f"{i:05}" for i in range(4000)], [0] * 2000 + [1] * 2000, frozenset(), frozenset())
    with patch.object(writing, "SCAN_FROM", 0), stored(layout, rows_of(vectors[order], None)) as store:
        scorer = DenseScorer(store.snapshot, PREFIX, vectors[0], False, store.snapshot.mask())
        floor = np.array([-np.inf])
        first, last = (search.top(10, floor) for search in scorer._searches)
        assert first[0].tolist() == list(range(10))
        assert floor[0] == first[1][-1]
        assert len(last[0]) == 0


def test_small_segments_have_no_codes():
    with stored(plain(100), rows_of(clustered(100, 8), Form(Scan()))) as store:
        assert f"{PREFIX}/codes.whole" not in store.snapshot.segments[0].segment
