"""BM25 over the postings of a snapshot."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from hybrid.errors import PipelineError
from hybrid.index.snapshot import Mask, Snapshot
from hybrid.index.sparse.query import Formula, WeightedTerm
from hybrid.index.sparse.scorer import SparseScorer, in_order
from hybrid.index.sparse.statistics import FieldWeights, SparseStatistics
from hybrid.kernels.levels import ceilings_of_counts
from hybrid.kernels.weighting import Weighting, length_norm

_HIGHEST = 1e6
_MOST_KNOWN = 1 << 16
"""How many terms' weights are kept under the same parameters."""


def bm25_scorer(
    snapshot: Snapshot,
    prefix: str,
    query_terms: Sequence[str] | Mapping[str, float],
    weighting: Weighting,
    field_weights: FieldWeights,
    mask: Mask,
) -> SparseScorer:
    """Return one query's BM25 scores, exact.

    A score is Σ over the query's distinct terms of qtf · idf · saturation (see
    `hybrid.kernels.weighting`). With several fields the simple BM25F of Robertson, Zaragoza and
    Taylor (2004): term frequencies and lengths are weighted sums over the fields.

    ``query_terms``: in any order; a repeated one counts as often as it is repeated. Or terms with how often
    each counts, which need not be whole.
    ``field_weights``: one per field, or None for 1 each.

    Raises:
        PipelineError: the number of weights is not the number of fields, or one is not accepted.

    """
    statistics = SparseStatistics.of(snapshot, prefix)
    weights = None if field_weights is None else _checked(field_weights, statistics.fields)
    known: _Known = statistics.table((weighting, weights), lambda: _Known(statistics, weighting, weights))
    counted: Mapping[str, float] = query_terms if isinstance(query_terms, Mapping) else Counter(query_terms)
    found = [known.term(term, repeated) for term, repeated in counted.items()]
    terms = [term for term in found if term is not None]
    return SparseScorer(snapshot, statistics, in_order(terms), known.formula, mask)


class _Known:
    """What queries under the same parameters have in common: the formula, and the terms asked so far."""

    def __init__(self, statistics: SparseStatistics, weighting: Weighting, weights: FieldWeights) -> None:
        self.formula = _formula(statistics, weighting, weights)
        self._statistics, self._weighting, self._weights = statistics, weighting, weights
        self._terms: dict[str, WeightedTerm] = {}

    def term(self, term: str, repeated: float) -> WeightedTerm | None:
        """Return what a term weighs in a query that has it so often; None if no live document has it."""
        weighted = self._terms.get(term) if repeated == 1 else None
        if weighted is None:
            found = self._statistics.term(term, self._weights)
            if not found.frequency:
                return None
            saturation = self._weighting.saturation()
            weight = repeated * self._weighting.idf(self._statistics.documents, found.frequency)
            weighted = WeightedTerm(term, found, weight * saturation.factor, weight * saturation.constant)
            if repeated == 1 and len(self._terms) < _MOST_KNOWN:
                self._terms[term] = weighted
        return weighted


def _formula(statistics: SparseStatistics, weighting: Weighting, weights: FieldWeights) -> Formula:
    """Return the formula under the parameters and the average length of now."""
    average = statistics.average_length(weights)
    n, m = length_norm(average, weighting.b)
    saturation = weighting.saturation()
    p, q = saturation.p, saturation.q
    counted = weights or (1.0,) * max(1, statistics.fields)
    ceilings = [
        ceilings_of_counts(
            *postings.reference.tolist(), k1=q - p, b=weighting.b, delta=p, current=average, fields=counted
        )
        for postings in statistics.postings
    ]
    single = statistics.fields <= 1 and counted == (1.0,)
    fields = np.array(() if single else counted, np.float64)
    return Formula(np.array([0.0, p * n, p * m, q * n, q * m]), fields, ceilings)


def _checked(weights: FieldWeights, fields: int) -> FieldWeights:
    """Return field weights, None if each is 1; raise unless they are accepted."""
    if weights is None:
        return None
    weights = tuple(map(float, weights))
    if fields and len(weights) != fields:
        raise PipelineError(f"{len(weights)} field weights are given, and the index has {fields} fields")
    if not all(0 <= weight <= _HIGHEST for weight in weights) or not any(weights):
        raise PipelineError(
            f"the field weights are {weights}; give numbers from 0 to {_HIGHEST:g}, at least one above 0"
        )
    return None if all(weight == 1 for weight in weights) else weights
