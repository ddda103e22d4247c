"""Exact BM25 over the postings of a snapshot."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybrid.errors import PipelineError
from hybrid.index.memo import memoized
from hybrid.index.ranks import Standing, true_ranks
from hybrid.index.snapshot import Mask, SegmentView, Snapshot
from hybrid.index.sparse import Postings
from hybrid.kernels.weighting import Weighting, length_norm
from hybrid.ranking import Ranking, merge, top_positions
from hybrid.types import Docnums, Doubles, Floats, TermMatch

FieldWeights = tuple[float, ...] | None
_KEPT_NORMS = 8
_HIGHEST = 1e6


@dataclass(frozen=True, slots=True)
class TermStatistics:
    """A term in a snapshot.

    ``positions``: where it stands in each segment's vocabulary, or -1. ``frequency``: how many live
    documents hold it.
    """

    positions: tuple[int, ...]
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
        totals = [0] * self.fields
        for postings, live in zip(self.postings, self._live, strict=True):
            lengths = postings.lengths if live is None else postings.lengths[:, live]
            for field, total in enumerate(lengths.sum(axis=1, dtype=np.int64).tolist()):
                totals[field] += total
        self.total_lengths = tuple(totals)
        self._terms: dict[Hashable, TermStatistics] = {}
        self._norms: dict[Hashable, list[Doubles]] = {}
        self._lock = threading.Lock()

    @classmethod
    def of(cls, snapshot: Snapshot, prefix: str) -> SparseStatistics:
        """Return the statistics of a branch, computed once per snapshot."""
        return memoized(snapshot, (cls, prefix), lambda: cls(snapshot.segments, prefix))

    def term(self, term: str, weights: FieldWeights = None) -> TermStatistics:
        """Return a term's statistics; fields of weight 0 count as if they were not there."""
        ignored = tuple(f for f, weight in enumerate(weights or ()) if weight == 0)
        key = (term, ignored)
        found = self._terms.get(key)
        if found is None:
            positions = tuple(postings.find(term) for postings in self.postings)
            used = [f for f in range(self.fields) if f not in ignored] if ignored else None
            found = TermStatistics(positions, self._frequency(positions, used))
            if found.frequency:
                self._terms[key] = found
        return found

    def average_length(self, weights: FieldWeights = None) -> float:
        """Return the weighted length of the live documents, on average; 0.0 if there are none."""
        total = weighted(np.array(self.total_lengths)[:, None], weights)
        return float(total[0]) / self.documents if self.documents and self.fields else 0.0

    def norms(self, b: float, weights: FieldWeights) -> list[Doubles]:
        """Return each segment's `length_norm`s: float64, shape (size,). The last few are kept."""
        key = (b, weights)
        with self._lock:
            if key not in self._norms:
                average = self.average_length(weights)
                while len(self._norms) >= _KEPT_NORMS:
                    del self._norms[next(iter(self._norms))]
                self._norms[key] = [
                    length_norm(weighted(postings.lengths, weights), average, b) for postings in self.postings
                ]
            return self._norms[key]

    def _frequency(self, positions: Sequence[int], used: list[int] | None) -> int:
        """Count the live documents that hold a term (in one of the used fields)."""
        count = 0
        for postings, live, position in zip(self.postings, self._live, positions, strict=True):
            if position < 0:
                continue
            entries = postings.entries(position)
            holds = np.ones(entries.stop - entries.start, np.bool_)
            if used is not None:
                holds &= (postings.counts[used, entries] > 0).any(axis=0)
            if live is not None:
                holds &= live[postings.docs[entries]]
            count += int(np.count_nonzero(holds))
        return count


class BM25Scorer:
    """One query's BM25 scores, exact (the protocol `hybrid.types.Scorer`).

    A score is Σ over the query's distinct terms of qtf · idf · saturation (see
    `hybrid.kernels.weighting`), added in float64 in the order of the terms and rounded to float32
    once. With several fields the simple BM25F of Robertson, Zaragoza and Taylor (2004): term
    frequencies and lengths are weighted sums over the fields. A document is ranked if it is
    eligible and its score is above 0.

    ``query_terms``: in any order; a repeated one counts as often as it is repeated.
    ``field_weights``: one per field, or None for 1 each.

    Raises:
        PipelineError: the number of weights is not the number of fields, or one is not accepted.

    """

    exact = True
    lower_bound = 0.0

    def __init__(
        self,
        snapshot: Snapshot,
        prefix: str,
        query_terms: Sequence[str],
        weighting: Weighting,
        field_weights: FieldWeights,
        mask: Mask,
    ) -> None:
        self._snapshot, self._mask, self._weighting = snapshot, mask, weighting
        self._statistics = SparseStatistics.of(snapshot, prefix)
        self._weights = _checked(field_weights, self._statistics.fields)
        self._terms: list[tuple[str, TermStatistics, float]] = []
        for term, repeated in sorted(Counter(query_terms).items()):
            found = self._statistics.term(term, self._weights)
            if found.frequency:
                weight = repeated * weighting.idf(self._statistics.documents, found.frequency)
                self._terms.append((term, found, weight))

    @property
    def eligible(self) -> int:
        """How many documents the mask lets through."""
        return self._mask.count

    def top(self, k: int) -> Ranking:
        """Return the best ``k`` documents that score above 0."""
        parts = []
        for view, scores in zip(self._snapshot.segments, self._ranked, strict=True):
            ordinals = np.flatnonzero(scores)
            best = ordinals[top_positions(scores[ordinals], k)]
            parts.append(Ranking(best + view.base, scores[best]))
        return merge(parts, k, self._snapshot.ids)

    def scores(self, docnums: Docnums) -> Floats:
        """Return the score of each document, whether or not the mask lets it through."""
        return self._gather(docnums, self._scores)

    def ranks(self, docnums: Docnums) -> NDArray[np.int64]:
        """Return each document's rank from 1, or 0 where it is not ranked."""
        docnums = np.asarray(docnums, np.int64)
        scores = self._gather(docnums, self._ranked)
        ranked = np.flatnonzero(scores)
        ranks = np.zeros(len(docnums), np.int64)
        if len(ranked):
            ranks[ranked] = true_ranks(self._snapshot, docnums[ranked], scores[ranked], self._standing)
        return ranks

    def minimum(self) -> float:
        """Return the lowest score of an eligible document: 0.0 if one is not ranked, or there are none."""
        above = [scores[scores > 0] for scores in self._ranked]
        ranked = sum(map(len, above))
        if ranked < self.eligible or not ranked:
            return 0.0
        return min(float(scores.min()) for scores in above if len(scores))

    def matches(self, docnum: int) -> list[TermMatch]:
        """Return the query's terms in a document, the one that adds most first."""
        number, ordinal = self._snapshot.locate(docnum)
        postings = self._statistics.postings[number]
        found = []
        for term, statistics, weight in self._terms:
            if statistics.positions[number] < 0:
                continue
            entries = postings.entries(statistics.positions[number])
            entry = entries.start + int(np.searchsorted(postings.docs[entries], ordinal))
            if entry < entries.stop and postings.docs[entry] == ordinal:
                _, added = self._contributions(number, slice(entry, entry + 1), weight)
                found += [TermMatch(term, weight, float(score)) for score in added]
        return sorted(found, key=lambda match: (-match.score, match.term))

    @cached_property
    def _scores(self) -> list[Floats]:
        """Each segment's scores: float32, shape (size,)."""
        columns = []
        for number, view in enumerate(self._snapshot.segments):
            postings, total = self._statistics.postings[number], np.zeros(view.size, np.float64)
            for _, statistics, weight in self._terms:
                if statistics.positions[number] >= 0:
                    entries = postings.entries(statistics.positions[number])
                    docs, added = self._contributions(number, entries, weight)
                    total[docs] += added  # a document comes once in a term's postings
            columns.append(total.astype(np.float32))
        return columns

    @cached_property
    def _ranked(self) -> list[Floats]:
        """Each segment's scores, with 0 for documents that the mask does not let through."""
        return [
            scores if part is None else np.where(part, scores, np.float32(0))
            for scores, part in zip(self._scores, self._mask.parts, strict=True)
        ]

    def _contributions(self, number: int, entries: slice, weight: float) -> tuple[NDArray[np.int32], Doubles]:
        """Return the documents of some postings of one term, and what it adds to their scores."""
        postings = self._statistics.postings[number]
        docs, tf = postings.docs[entries], weighted(postings.counts[:, entries], self._weights)
        if self._weights is not None and 0 in self._weights:
            docs, tf = docs[tf > 0], tf[tf > 0]
        norm = self._statistics.norms(self._weighting.b, self._weights)[number][docs]
        return docs, weight * self._weighting.saturate(tf, norm)

    def _gather(self, docnums: Docnums, columns: Sequence[Floats]) -> Floats:
        """Return the values of documents in per-segment columns."""
        docnums = np.asarray(docnums, np.int64)
        values = np.zeros(len(docnums), np.float32)
        for view, column in zip(self._snapshot.segments, columns, strict=True):
            here = (docnums >= view.base) & (docnums < view.base + view.size)
            values[here] = column[docnums[here] - view.base]
        return values

    def _standing(self, number: int, levels: Floats) -> Standing:
        """Return how the segment's ranked documents stand to scores, given in ascending order."""
        column = self._ranked[number]
        ascending = np.sort(column[column >= levels[0]])
        left = np.searchsorted(ascending, levels, "left")
        right = np.searchsorted(ascending, levels, "right")
        return Standing(
            len(ascending) - right, right - left, lambda level: np.flatnonzero(column == levels[level])
        )


def weighted(values: NDArray[Any], weights: FieldWeights) -> Doubles:
    """Return the weighted sum over the fields: float64; ``values`` has one row per field.

    The fields are added one after the other, so that no result depends on another's.
    """
    total = np.zeros(values.shape[1], np.float64)
    for field, row in enumerate(values):
        total += row if weights is None else weights[field] * row.astype(np.float64)
    return total


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
