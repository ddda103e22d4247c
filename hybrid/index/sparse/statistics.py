"""Exact figures about the live documents of a snapshot, for one sparse branch."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hybrid import forking
from hybrid.index.memo import memoized
from hybrid.index.snapshot import SegmentView, Snapshot
from hybrid.index.sparse.postings import Place, Postings

FieldWeights = tuple[float, ...] | None
_KEPT = 8
"""How many derived tables are kept: one for each set of parameters that searches use."""


@dataclass(frozen=True, slots=True)
class TermStatistics:
    """A term in a snapshot.

    ``places``: where it stands in each segment, None where it does not occur. ``frequency``: how many
    live documents hold it.
    """

    places: tuple[Place | None, ...]
    frequency: int


class SparseStatistics:
    """Exact figures about the live documents of a snapshot, for one branch. Thread-safe.

    ``documents``: how many there are, empty ones included. ``total_lengths``: per field, the
    number of their terms. They do not depend on segmentation, nor on whether deletes were merged.
    """

    def __init__(self, segments: Sequence[SegmentView], prefix: str) -> None:
        self.postings = [Postings.of(view.segment, prefix) for view in segments]
        self._live = [view.live for view in segments]
        self.documents = sum(view.live_count for view in segments)
        self.fields = max((len(postings.lengths) for postings in self.postings), default=0)
        totals = np.zeros(self.fields, np.int64)
        for postings, live in zip(self.postings, self._live, strict=True):
            totals += postings.totals
            if live is not None:
                totals -= postings.lengths[:, ~live].sum(axis=1, dtype=np.int64)
        self.total_lengths = tuple(totals.tolist())
        self._terms: dict[Hashable, TermStatistics] = {}
        self._tables: dict[Hashable, Any] = {}
        self._lock = forking.Lock()

    @classmethod
    def of(cls, snapshot: Snapshot, prefix: str) -> SparseStatistics:
        """Return the statistics of a branch, computed once per snapshot."""
        return memoized(snapshot, (cls, prefix), lambda: cls(snapshot.segments, prefix))

    def term(self, term: str, weights: FieldWeights = None) -> TermStatistics:
        """Return a term's statistics; fields of weight 0 count as if they were not there."""
        key = term if weights is None else (term, tuple(weight == 0 for weight in weights))
        found = self._terms.get(key)
        if found is None:
            used = weights if weights is not None and 0 in weights else None
            places = tuple(postings.place(term) for postings in self.postings)
            found = TermStatistics(places, self._frequency(places, used))
            if found.frequency:
                self._terms[key] = found
        return found

    def average_length(self, weights: FieldWeights = None) -> float:
        """Return the weighted length of the live documents, on average; 0.0 if there are none."""
        if not self.documents or not self.fields:
            return 0.0
        return sum(map(float.__mul__, weights or (1.0,) * self.fields, map(float, self.total_lengths))) / (
            self.documents
        )

    def table(self, key: Hashable, build: Any) -> Any:
        """Return ``build()``, kept for a while under a key."""
        with self._lock:
            if key not in self._tables:
                while len(self._tables) >= _KEPT:
                    del self._tables[next(iter(self._tables))]
                self._tables[key] = build()
            return self._tables[key]

    def _frequency(self, places: Sequence[Place | None], weights: FieldWeights) -> int:
        """Count the live documents that hold a term (in one of the fields that count)."""
        return sum(
            postings.frequency(place.term, live, weights)
            for postings, live, place in zip(self.postings, self._live, places, strict=True)
            if place is not None
        )
