"""A scorer that knows nothing of postings: the formulas of rank-bm25 over the texts of live documents."""

from __future__ import annotations

import numpy as np
from rank_bm25 import BM25L, BM25Okapi, BM25Plus

from hybrid.ranking import best
from hybrid.text import analyzer
from hybrid.types import TermMatch


class RankBM25:
    """What `hybrid.types.Scorer` asks, by brute force; made as `hybrid.index.sparse.bm25_scorer` is.

    rank-bm25 also credits documents for terms that they lack (BM25L and BM25+) and has negative weights
    for frequent terms (Okapi); here a term adds something only where it occurs, and 0 at least. Its BM25L
    has one more factor tf than the paper, which is taken out.
    """

    lower_bound = 0.0
    exact = True

    def __init__(self, snapshot, prefix, terms, weighting, field_weights, mask):
        assert field_weights is None
        self.snapshot, self.mask, self.terms = snapshot, mask, list(terms)
        self.live = snapshot.docnums()
        analyse = analyzer("simple").terms
        texts = [analyse(document.content) for document in snapshot.documents(self.live)]
        makers = {
            "bm25+": lambda: BM25Plus(texts, k1=weighting.k1, b=weighting.b, delta=weighting.delta),
            "bm25l": lambda: BM25L(texts, k1=weighting.k1, b=weighting.b, delta=weighting.delta),
            "robertson": lambda: BM25Okapi(texts, k1=weighting.k1, b=weighting.b, epsilon=0.0),
        }
        self.added = np.zeros((len(self.terms), snapshot.size))
        if any(texts):
            with np.errstate(divide="ignore", invalid="ignore"):  # rank-bm25 divides by the mean length
                backend = makers[weighting.variant]()
                for row, term in enumerate(self.terms):
                    counts = np.array([text.count(term) for text in texts])
                    added = np.where(counts > 0, backend.get_scores([term]), 0.0)
                    extra = np.maximum(counts, 1) if weighting.variant == "bm25l" else 1
                    self.added[row, self.live] = added / extra
        if weighting.variant == "robertson":
            self.added /= weighting.k1 + 1
        self.all = self.added.sum(axis=0).astype(np.float32)
        self.within = np.array([mask.lets_through(snapshot, n) for n in range(snapshot.size)], bool)

    @property
    def eligible(self):
        return int(self.within.sum())

    def top(self, k):
        ranked = np.flatnonzero(self.within & (self.all > 0))
        return best(ranked, self.all[ranked], k, self.snapshot.ids)

    def scores(self, docnums):
        return self.all[docnums]

    def ranks(self, docnums):
        order = self.top(self.snapshot.size).docnums.tolist()
        return np.array([order.index(n) + 1 if n in order else 0 for n in docnums], np.int64)

    def minimum(self):
        return float(self.all[self.within].min()) if self.within.any() else 0.0

    def matches(self, docnum):
        found = {}
        for term, score in zip(self.terms, self.added[:, docnum].tolist(), strict=True):
            if score > 0:
                found[term] = found.get(term, 0.0) + score
        matches = [TermMatch(term, float(self.terms.count(term)), score) for term, score in found.items()]
        return sorted(matches, key=lambda match: (-match.score, match.term))


def top_of_each(scorers, k):
    return [scorer.top(k) for scorer in scorers]
