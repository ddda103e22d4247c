"""Compiled answers are those of the interpreted way, to the bit, on collections that are worth pruning."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid.index import Segment, SegmentWriter
from hybrid.index.sparse import SparseRows
from hybrid.index.sparse.compiled import Compiled
from hybrid.index.sparse.interpreted import Interpreted
from hybrid.index.sparse.postings import Postings
from hybrid.index.sparse.query import Formula, SegmentQuery, WeightedTerm
from hybrid.index.sparse.statistics import TermStatistics
from hybrid.kernels.levels import ceilings_of_counts, ceilings_of_weights
from hybrid.kernels.weighting import VARIANTS, Weighting, length_norm
from tests.index.terms import from_terms


def rows_of(rng, n, fields, clustered):
    """Documents with Zipf terms; if clustered, near ones are alike, so that there is much to skip."""
    odds = 1 / np.arange(1, 41)
    documents = []
    for number in range(n):
        shift = number // 300 * 7 if clustered else 0
        sizes = rng.integers(0, 9, fields)
        draws = [(rng.choice(40, size, p=odds / odds.sum()) + shift) % 40 for size in sizes]
        documents.append([[f"t{term}" for term in draw] for draw in draws])
    return documents


def stored(folder, rows):
    with SegmentWriter(Path(folder) / "s") as out:
        rows.write(out, "x")
    return Postings.of(Segment.open(Path(folder) / "s"), "x")


def query_of(postings, weights, formula, mask):
    terms = [
        WeightedTerm(term, TermStatistics((postings.place(term),), 1), factor, constant)
        for term, (factor, constant) in weights.items()
    ]
    return SegmentQuery.of(postings, 0, terms, formula, mask)


def assert_equal(query, rng, n):
    compiled, interpreted = Compiled(query), Interpreted(query)
    for k in (1, 2, 10, 100, n):
        floor, other = np.zeros(1), np.zeros(1)
        (docs, scores), (expected, theirs) = (
            compiled.best(k, floor)[0],
            interpreted.best(k, other)[0],
        )
        assert docs.tolist() == expected.tolist()
        assert scores.tobytes() == theirs.tobytes()
        assert floor[0] == other[0]
        # what is below a floor may be missing, nothing else
        if len(theirs) > 1:
            raised = np.array([float(theirs[len(theirs) // 2])])
            docs, scores = compiled.best(k, raised.copy())[0]
            reaching = theirs >= raised[0]
            assert docs[: reaching.sum()].tolist() == expected[reaching].tolist()
    levels = [0.0, *np.unique(interpreted.reaching(0.0)[1])[:: max(1, n // 50)].tolist()]
    for needed in levels:
        docs, scores = compiled.reaching(needed)
        expected, theirs = interpreted.reaching(needed)
        assert docs.tolist() == expected.tolist()
        assert scores.tobytes() == theirs.tobytes()
    some = rng.integers(0, n, 20)
    for one, other in zip(compiled.contributions(some), interpreted.contributions(some), strict=True):
        assert one.dtype == other.dtype
        assert one.tobytes() == other.tobytes()


def mask_of(rng, n, share):
    return None if share is None else rng.random(n) < share


collections = st.tuples(
    st.integers(0, 2**32 - 1),
    st.sampled_from([1, 2, 255, 256, 257, 700, 2000]),
    st.booleans(),
    st.sampled_from([None, 0.0, 0.01, 0.5]),
    st.integers(0, 8),
)


@settings(max_examples=60, deadline=None)
@given(
    collections,
    st.sampled_from(VARIANTS),
    st.sampled_from([0, 0.4, 1.2, 5.0]),
    st.sampled_from([0, 0.75, 1]),
    st.sampled_from([None, (1.0, 3.0), (0.0, 0.5), (2.0, 0.0)]),
    st.sampled_from([0.2, 1.0, 7.0]),
)
def test_bm25(collection, variant, k1, b, fields, drift):
    """``drift``: how far the average length has moved since the segment was written."""
    seed, n, clustered, share, size = collection
    rng = np.random.default_rng(seed)
    weighting = Weighting(variant, k1, b)
    p, q, factor, constant = weighting.saturation()
    with tempfile.TemporaryDirectory() as folder:
        count = 1 if fields is None else 2
        postings = stored(folder, from_terms(rows_of(rng, n, count, clustered), count))
        average = max(1.0, float(postings.totals.sum()) / n) * drift
        nn, m = length_norm(average, b)
        known = [term.decode() for term in postings.vocabulary]
        weights = {}
        for term in rng.permutation(known)[:size].tolist():
            weight = float(rng.choice([0.0, 0.1, 1.0, 1.0, 6.5]))
            weights[term] = (weight * factor, weight * constant)
        ceilings = ceilings_of_counts(
            *postings.reference.tolist(), k1=q - p, b=b, delta=p, current=average, fields=fields or (1.0,)
        )
        form = np.array([0.0, p * nn, p * m, q * nn, q * m])
        formula = Formula(form, np.array(fields or (), np.float64), [ceilings])
        assert_equal(query_of(postings, weights, formula, mask_of(rng, n, share)), rng, n)


@settings(max_examples=60, deadline=None)
@given(
    collections,
    st.sampled_from(
        [(16, 0.01, 3.0), (16, 6e-8, 6e-8), (16, 6e-8, 60000.0), (8, 0.01, 3.0), (8, 1e-4, 124.0)]
    ),
)
def test_learned_weights(collection, extremes):
    bits, *extremes = extremes
    seed, n, clustered, share, size = collection
    rng = np.random.default_rng(seed)
    low, high = np.log(extremes[0]), np.log(extremes[1])
    documents = [
        {term: float(np.exp(rng.uniform(low, high))) for term in fields[0]}
        for fields in rows_of(rng, n, 1, clustered)
    ]
    with tempfile.TemporaryDirectory() as folder:
        postings = stored(folder, SparseRows.from_weights(documents, bits))
        known = [term.decode() for term in postings.vocabulary]
        weights = {
            term: (float(rng.choice([1e-6, 0.5, 1.0, 1e6])), 0.0)
            for term in rng.permutation(known)[:size].tolist()
        }
        formula = Formula(np.array([1.0, 0, 0, 0, 0]), np.empty(0), [ceilings_of_weights()])
        assert_equal(query_of(postings, weights, formula, mask_of(rng, n, share)), rng, n)


def test_without_pruning_it_is_the_same(monkeypatch):
    monkeypatch.setattr("hybrid.index.sparse.compiled.WHOLE", 1)
    monkeypatch.setattr("hybrid.index.sparse.compiled.WHOLE_SHARE", 1000)
    rng = np.random.default_rng(4)
    with tempfile.TemporaryDirectory() as folder:
        postings = stored(folder, from_terms(rows_of(rng, 700, 1, True)))
        ceilings = ceilings_of_counts(
            *postings.reference.tolist(), k1=1.2, b=0.75, delta=0, current=4.0, fields=(1.0,)
        )
        formula = Formula(np.array([0.0, 0, 0, 0.3, 0.2]), np.empty(0), [ceilings])
        query = query_of(
            postings, {f"t{n}": (1.0 + n, 0.0) for n in range(4)}, formula, rng.random(700) < 0.5
        )
        assert_equal(query, rng, 700)


@pytest.mark.parametrize("threads", ["1", "3"])
def test_threads_share_a_query(monkeypatch, threads):
    monkeypatch.setenv("HYBRID_THREADS", threads)
    monkeypatch.setattr("hybrid.index.sparse.compiled.SHARED", 1)
    rng = np.random.default_rng(2)
    with tempfile.TemporaryDirectory() as folder:
        postings = stored(folder, from_terms(rows_of(rng, 3000, 1, True)))
        ceilings = ceilings_of_counts(
            *postings.reference.tolist(), k1=1.2, b=0.75, delta=0, current=4.0, fields=(1.0,)
        )
        formula = Formula(np.array([0.0, 0, 0, 0.3, 0.2]), np.empty(0), [ceilings])
        query = query_of(postings, {f"t{n}": (1.0 + n, 0.0) for n in range(6)}, formula, None)
        parts = Compiled(query).best(20, np.zeros(1))
        assert len(parts) == int(threads)
        pairs = sorted(
            (-s, d) for docs, scores in parts for d, s in zip(docs.tolist(), scores.tolist(), strict=True)
        )
        docs, scores = Interpreted(query).best(20, np.zeros(1))[0]
        assert pairs[:20] == list(zip((-scores).tolist(), docs.tolist(), strict=True))
