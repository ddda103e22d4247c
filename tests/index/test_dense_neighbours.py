"""Approximate indexes: true scores, no starvation, stated recall; exact where few documents are left."""

from __future__ import annotations

import numpy as np
import pytest

from hybrid import HNSW, IVF, PQ, SQ8, Binary, RaBitQ
from hybrid.index.dense import DenseRows, DenseScorer, Form, neighbours
from hybrid.index.dense.neighbours import NeighboursSegment
from hybrid.kernels.inner import inner_products
from tests.index.segmented import PREFIX, Layout, check, mask_of, stored
from tests.index.test_dense_scan import clustered, plain, rows_of

COUNT, DIMENSION = 6000, 64
KINDS = {
    "hnsw": (HNSW(m=16, ef_construction=60), 0.95),
    "ivf": (IVF(lists=64, probes=16), 0.9),
    "ivf by itself": (IVF(), 0.6),
    "ivf, sq8": (IVF(lists=64, probes=16, codes="sq8"), 0.9),
    "ivf, pq": (IVF(lists=64, probes=16, codes="pq"), 0.85),
    "ivf, rabitq": (IVF(lists=64, probes=16, codes="rabitq"), 0.85),
    "sq8": (SQ8(), 0.99),
    "pq": (PQ(), 0.9),
    "rabitq": (RaBitQ(), 0.95),
    "binary": (Binary(), 0.85),
}
"""Each kind with the least recall of the best 10, on the vectors and queries below."""


@pytest.fixture(scope="module")
def vectors():
    return clustered(COUNT, DIMENSION)


@pytest.fixture(scope="module", params=KINDS)
def built(request, vectors):
    """A kind, its recall, and a store of it."""
    kind, recall = KINDS[request.param]
    with stored(plain(COUNT), rows_of(vectors, Form(kind))) as store:
        yield kind, recall, store


def queries():
    return clustered(500, DIMENSION, 0)[:40]


def true_order(vectors, query):
    scores = inner_products(vectors, query)
    return np.lexsort((np.arange(len(scores)), -scores)), scores


def test_recall_and_true_scores(built, vectors):
    kind, least, store = built
    snapshot, hits = store.snapshot, 0
    for query in queries():
        scorer = DenseScorer(snapshot, PREFIX, query, True, snapshot.mask(), kind)
        assert not scorer.exact
        top = scorer.top(10)
        order, scores = true_order(vectors, query)
        assert top.scores.tolist() == scores[top.docnums].tolist()
        keys = list(zip(-top.scores, top.docnums, strict=True))
        assert keys == sorted(keys)
        hits += len(np.intersect1d(top.docnums, order[:10]))
        assert scorer.ranks(order[:3]).tolist() == [1, 2, 3]
        assert scorer.minimum() == scores.min()
    assert hits / 400 >= least


def test_as_many_as_were_asked_for(built):
    kind, _, store = built
    snapshot = store.snapshot
    for k in (1, 200, 3000, COUNT, COUNT + 5):
        scorer = DenseScorer(snapshot, PREFIX, queries()[0], True, snapshot.mask(), kind)
        docnums = scorer.top(k).docnums.tolist()
        assert len(docnums) == len(set(docnums)) == min(k, COUNT)


@pytest.mark.parametrize("share", [0.001, 0.02, 0.1, 0.5])
def test_filters_do_not_starve(built, vectors, share):
    """The eligible documents are those farthest from the query: an index looks for them last."""
    kind, _, store = built
    snapshot, query = store.snapshot, queries()[0]
    order, scores = true_order(vectors, query)
    shown = np.sort(order[-int(COUNT * share) :])
    layout = Layout(
        plain(COUNT).ids, [0] * COUNT, frozenset(), frozenset(set(range(COUNT)) - {*shown.tolist()})
    )
    scorer = DenseScorer(snapshot, PREFIX, query, True, mask_of(snapshot, layout), kind)
    top = scorer.top(10)
    best = order[np.isin(order, shown)][:10]
    assert len(top) == min(10, len(shown))
    assert set(top.docnums.tolist()) <= set(shown.tolist())
    assert scorer.exact == (share < 1 / neighbours._SELECTIVE)
    if scorer.exact:
        assert top.docnums.tolist() == best.tolist()
    assert top.scores.tolist() == scores[top.docnums].tolist()


def test_deleted_documents_are_not_found(vectors):
    gone = frozenset(range(0, COUNT, 2))
    layout = Layout(plain(COUNT).ids, [0] * COUNT, gone, frozenset())
    kind = HNSW(m=8, ef_construction=40)
    with stored(layout, rows_of(vectors, Form(kind))) as store:
        snapshot = store.snapshot
        scorer = DenseScorer(snapshot, PREFIX, vectors[4], True, snapshot.mask(), kind)
        assert not scorer.exact
        assert (scorer.top(50).docnums % 2 == 1).all()
        store.optimize({PREFIX: DenseRows})
        merged = store.snapshot
        assert f"{PREFIX}/index" not in merged.segments[0].segment  # 3,000 are too few
        assert DenseScorer(merged, PREFIX, vectors[4], True, merged.mask(), kind).exact


def test_merging_builds_the_index_anew(vectors):
    layout = Layout(plain(COUNT).ids, [n % 3 for n in range(COUNT)], frozenset([5]), frozenset())
    kind = IVF(lists=16, probes=16)
    with stored(layout, rows_of(vectors, Form(kind))) as store:
        assert DenseScorer(store.snapshot, PREFIX, vectors[9], True, store.snapshot.mask(), kind).exact
        store.optimize({PREFIX: DenseRows})
        snapshot = store.snapshot
        scorer = DenseScorer(snapshot, PREFIX, vectors[9], True, snapshot.mask(), kind)
        assert isinstance(scorer._searches[0], NeighboursSegment)
        order, _ = true_order(vectors, vectors[9])
        assert snapshot.ids(scorer.top(10).docnums) == [f"{n:05}" for n in order[:11] if n != 5][:10]


@pytest.mark.parametrize("kind", [IVF(lists=32), PQ(), SQ8(), RaBitQ(), IVF(lists=32, codes="pq")], ids=repr)
def test_training_is_reproducible(vectors, kind):
    found = []
    for _ in range(2):
        with stored(plain(COUNT), rows_of(vectors, Form(kind))) as store:
            found.append(store.snapshot.segments[0].segment[f"{PREFIX}/index"].tobytes())
    assert found[0] == found[1]


def test_small_segments_are_searched_exactly(vectors):
    kind, layout = HNSW(), plain(300)
    true = inner_products(vectors[:300], vectors[0])
    scores = {id: true[n] for n, id in enumerate(layout.ids)}
    with stored(layout, rows_of(vectors[:300], Form(kind))) as store:
        scorer = DenseScorer(store.snapshot, PREFIX, vectors[0], True, store.snapshot.mask(), kind)
        check(scorer, store.snapshot, layout, scores, set(layout.ids))
