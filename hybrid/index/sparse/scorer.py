"""Exact sparse scores over the postings of a snapshot (the protocol `hybrid.types.Scorer`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybrid.index.ranks import Standing, true_ranks
from hybrid.index.snapshot import Mask, SegmentView, Snapshot
from hybrid.index.sparse.compiled import Compiled
from hybrid.index.sparse.interpreted import SECONDS_PER_POSTING, Interpreted
from hybrid.index.sparse.query import Answers, Formula, SegmentQuery, WeightedTerm
from hybrid.index.sparse.statistics import SparseStatistics
from hybrid.kernels.compiling import compiling_pays
from hybrid.ranking import Ranking, best, merge
from hybrid.types import Docnums, Floats, TermMatch

_MORE = 2
"""How many times as many candidates an approximate search lists."""


class SparseScorer:
    """One query's scores over all documents.

    A score is a sum over the terms in the order given, in float64, rounded to float32 once. A
    document is ranked if it is eligible and its score is above 0.

    With a ``cut`` below the number of terms, ``top`` is approximate: only the first ``cut`` terms
    list candidates, `_MORE` times as many as are asked for, which are then scored by all terms (the
    query cut of Seismic: Bruch, Nardini, Rulli and Venturini 2024). Everything else stays exact.
    """

    lower_bound = 0.0

    def __init__(
        self,
        snapshot: Snapshot,
        statistics: SparseStatistics,
        terms: Sequence[WeightedTerm],
        formula: Formula,
        mask: Mask,
        cut: int | None = None,
    ) -> None:
        self.snapshot, self._mask, self._terms = snapshot, mask, terms
        self._lister: SparseScorer | None = None
        if cut is not None and cut < len(terms):
            self._lister = SparseScorer(snapshot, statistics, terms[:cut], formula, mask)
        self._parts: list[tuple[SegmentView, SegmentQuery, Answers]] = []
        for number, view in enumerate(snapshot.segments):
            query = SegmentQuery.of(statistics.postings[number], number, terms, formula, mask.parts[number])
            if query.terms:
                self._parts.append((view, query, _answers(query)))

    @property
    def exact(self) -> bool:
        """Whether ``top`` is the true one."""
        return self._lister is None

    @property
    def eligible(self) -> int:
        """How many documents the mask lets through."""
        return self._mask.count

    def query(self, view: SegmentView) -> SegmentQuery | None:
        """Return the query's part for a segment; None if that has none of its terms."""
        return next((query for each, query, _ in self._parts if each is view), None)

    def postings_read(self) -> int:
        """Return how many postings the terms have."""
        return sum(query.postings_read() for _, query, _ in self._parts)

    def top(self, k: int) -> Ranking:
        """Return the best ``k`` documents that score above 0."""
        if self._lister is not None:
            docnums = self._lister.top(_MORE * k).docnums
            return best(docnums, self.scores(docnums), k, self.snapshot.tie_keys)
        floor = np.zeros(1, np.float64)  # a score that k documents reach: later segments need not look below
        rankings = []
        for view, _, answers in self._parts if k > 0 else ():
            fewer = min(k, view.size)
            found = answers.best(fewer, floor if fewer == k else floor.copy())
            rankings += [Ranking(ordinals + view.base, scores) for ordinals, scores in found]
        return merge(rankings, k, self.snapshot.tie_keys)

    def scores(self, docnums: Docnums) -> Floats:
        """Return the score of each document, whether or not the mask lets it through."""
        docnums = np.asarray(docnums, np.int64)
        scores = np.zeros(len(docnums), np.float32)
        for _, answers, here, ordinals in self._located(docnums):
            scores[here] = answers.contributions(ordinals)[0]
        return scores

    def ranks(self, docnums: Docnums) -> NDArray[np.int64]:
        """Return each document's rank from 1, or 0 where it is not ranked."""
        docnums = np.asarray(docnums, np.int64)
        scores = self.scores(docnums)
        for query, _, here, ordinals in self._located(docnums):
            if len(query.mask):
                scores[here] *= query.mask[ordinals]
        ranked = np.flatnonzero(scores)
        ranks = np.zeros(len(docnums), np.int64)
        if len(ranked):
            ranks[ranked] = true_ranks(self.snapshot, docnums[ranked], scores[ranked], self._standing)
        return ranks

    def minimum(self) -> float:
        """Return the lowest score of an eligible document: 0.0 if one is not ranked, or there are none."""
        if sum(term.statistics.frequency for term in self._terms) < self.eligible:
            return 0.0
        found = [answers.reaching(0.0)[1] for _, _, answers in self._parts]
        if sum(map(len, found)) < self.eligible or not self.eligible:
            return 0.0
        return min(float(scores.min()) for scores in found if len(scores))

    def matches(self, docnum: int) -> list[TermMatch]:
        """Return the query's terms in a document, the one that adds most first."""
        found: list[TermMatch] = []
        for query, answers, _, ordinals in self._located(np.array([docnum], np.int64)):
            added = answers.contributions(ordinals)[1][0].tolist()
            found += [
                TermMatch(term.term, term.factor, score)
                for term, score in zip(query.terms, added, strict=True)
                if score >= 0
            ]
        return sorted(found, key=lambda match: (-match.score, match.term))

    def _standing(self, number: int, levels: Floats) -> Standing:
        """Return how a segment's ranked documents stand to scores, given in ascending order."""
        base = self.snapshot.segments[number].base
        found = [answers.reaching(float(levels[0])) for view, _, answers in self._parts if view.base == base]
        ordinals, scores = found[0] if found else (np.empty(0, np.int64), np.empty(0, np.float32))
        ascending = np.sort(scores)
        left = np.searchsorted(ascending, levels, "left")
        right = np.searchsorted(ascending, levels, "right")
        return Standing(len(ascending) - right, right - left, lambda level: ordinals[scores == levels[level]])

    def _located(self, docnums: Docnums) -> Iterator[tuple[SegmentQuery, Answers, Any, Docnums]]:
        """Yield, for each segment with a term, which of the documents it holds, and their ordinals there."""
        for view, query, answers in self._parts:
            here = (docnums >= view.base) & (docnums < view.base + view.size)
            if here.any():
                yield query, answers, here, docnums[here] - view.base


def _answers(query: SegmentQuery) -> Answers:
    """Return the cheapest way to answer a query."""
    expected = query.postings_read() * SECONDS_PER_POSTING
    return Compiled(query) if compiling_pays(expected) else Interpreted(query)


def in_order(terms: Sequence[WeightedTerm]) -> list[WeightedTerm]:
    """Return terms in the order in which they are added up: the heaviest first, then by spelling."""
    return sorted(terms, key=lambda term: (-term.factor, term.term))
