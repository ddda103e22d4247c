"""The same answers without compiled code: every posting is added up, term after term."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hybrid.forking import cached_property
from hybrid.index.sparse.query import Found, SegmentQuery
from hybrid.kernels.compiling import interpreting
from hybrid.ranking import top_positions
from hybrid.types import Doubles, Floats

SECONDS_PER_POSTING = 1e-8
"""What `Interpreted` takes, about."""


class Interpreted:
    """Whole-accumulator scoring with numpy; for processes that ask little (`hybrid.kernels.compiling`)."""

    def __init__(self, query: SegmentQuery) -> None:
        self._query = query

    def best(self, k: int, floor: Doubles) -> list[Found]:
        """Return the best ``k`` (see `Answers`)."""
        ordinals, scores = self._ranked
        best = top_positions(scores, k)
        if len(best) == k:
            floor[0] = max(floor[0], scores[best[-1]])
        return [(ordinals[best], scores[best])]

    def reaching(self, needed: float) -> Found:
        """Return the documents that score at least ``needed`` (see `Answers`)."""
        ordinals, scores = self._ranked
        reaching = scores >= needed
        return ordinals[reaching], scores[reaching]

    def contributions(self, ordinals: NDArray[np.int64]) -> tuple[Floats, Doubles]:
        """Return documents' scores, and what each term adds (see `Answers`)."""
        parts = np.full((len(ordinals), len(self._query.terms)), -1.0)
        totals = np.zeros(len(ordinals), np.float64)
        with interpreting():
            for term, (docs, added) in enumerate(self._added):
                places = np.minimum(np.searchsorted(docs, ordinals), max(0, len(docs) - 1))
                has = docs[places] == ordinals if len(docs) else np.zeros(len(ordinals), np.bool_)
                parts[has, term] = added[places[has]]
                totals[has] += added[places[has]]
        return totals.astype(np.float32), parts

    @cached_property
    def _ranked(self) -> Found:
        """The eligible documents that score above 0, and their scores."""
        totals = np.zeros(self._query.postings.documents, np.float64)
        for docs, added in self._added:
            totals[docs] += added  # a document comes once in a term's postings
        with interpreting():
            scores = totals.astype(np.float32)
            if len(self._query.mask):
                scores *= self._query.mask
            ordinals = np.flatnonzero(scores)
            return ordinals, scores[ordinals]

    @cached_property
    def _added(self) -> list[tuple[NDArray[np.int32], Doubles]]:
        """For each term its documents, ascending, and what it adds to them."""
        with interpreting():
            return [self._add(n) for n in range(len(self._query.terms))]

    def _add(self, number: int) -> tuple[NDArray[np.int32], Doubles]:
        query, at = self._query, self._query.places[number].term
        _, docs, values = query.postings.decode(at, at + 1)
        factor, constant = query.factors[number], query.constants[number]
        if query.form[0]:
            return docs, factor * values[0].astype(np.float64)
        tf = _weighted(values, query.fields)
        length = _weighted(query.postings.lengths[:, docs], query.fields)
        if len(query.fields):
            counts = tf > 0
            docs, tf, length = docs[counts], tf[counts], length[counts]
        _, p0, p1, q0, q1 = query.form.tolist()
        saturation = (tf + (p0 + p1 * length)) / (tf + (q0 + q1 * length))
        return docs, factor * saturation + constant


def _weighted(values: NDArray[np.generic], fields: Doubles) -> Doubles:
    """Return the weighted sum over the fields: float64; ``values`` has one row per field.

    The fields are added one after the other, so that no result depends on another's.
    """
    if not len(fields):
        single: Doubles = values[0].astype(np.float64)
        return single
    total = np.zeros(values.shape[1], np.float64)
    for weight, row in zip(fields, values, strict=True):
        total += weight * row.astype(np.float64)
    return total
