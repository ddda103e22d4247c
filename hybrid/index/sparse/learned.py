"""Inner products of learned sparse weights over the postings of a snapshot."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hybrid.index.snapshot import Mask, Snapshot
from hybrid.index.sparse.query import Formula, WeightedTerm
from hybrid.index.sparse.scorer import SparseScorer, in_order
from hybrid.index.sparse.statistics import SparseStatistics
from hybrid.kernels.levels import ceilings_of_weights


def weights_scorer(
    snapshot: Snapshot, prefix: str, query: Mapping[str, float], mask: Mask, cut: int | None = None
) -> SparseScorer:
    """Return one query's inner products with all documents' stored weights.

    ``query``: weights above 0 by term. ``cut``: how many of them, the heaviest, list candidates
    (see `SparseScorer`); None for all, which is exact.
    """
    statistics = SparseStatistics.of(snapshot, prefix)
    terms = [
        WeightedTerm(term, found, weight)
        for term, weight in query.items()
        if (found := statistics.term(term)).frequency
    ]
    formula = statistics.table("weights", lambda: _formula(statistics))
    return SparseScorer(snapshot, statistics, in_order(terms), formula, mask, cut)


def _formula(statistics: SparseStatistics) -> Formula:
    ceilings = [ceilings_of_weights()] * len(statistics.postings)
    return Formula(np.array([1.0, 0.0, 0.0, 0.0, 0.0]), np.empty(0, np.float64), ceilings)
