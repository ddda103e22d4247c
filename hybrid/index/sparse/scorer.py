"""Exact sparse scores over the postings of a snapshot (the protocol `hybrid.types.Scorer`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybrid.index.ranks import Standing, true_ranks
from hybrid.index.snapshot import Mask, Snapshot
from hybrid.index.sparse.postings import Postings, readonly
from hybrid.index.sparse.statistics import SparseStatistics, TermStatistics
from hybrid.ranking import Ranking, merge
from hybrid.threads import parallel, thread_count
from hybrid.types import Docnums, Doubles, Floats, TermMatch

_SHARED = 1 << 22
"""From so many postings a query's windows are shared among threads."""

_EVERYTHING = readonly(np.empty(0, np.bool_))


@dataclass(frozen=True, slots=True, eq=False)
class Formula:
    """How values become scores; see `hybrid.kernels.postings`.

    ``ceilings``: what a value is worth at most at each level, for each segment, float64 (256,).
    """

    form: Doubles
    fields: Doubles
    ceilings: Sequence[Doubles]


@dataclass(frozen=True, slots=True, eq=False)
class WeightedTerm:
    """A term of the query: what its saturation is multiplied by, and what is added to that."""

    term: str
    statistics: TermStatistics
    factor: float
    constant: float = 0.0


class SparseScorer:
    """One query's scores over all documents, exact unless ``optimism`` is below 1.

    A score is a sum over the terms in the order given, in float64, rounded to float32 once. A
    document is ranked if it is eligible and its score is above 0.
    """

    lower_bound = 0.0

    def __init__(
        self,
        snapshot: Snapshot,
        statistics: SparseStatistics,
        terms: Sequence[WeightedTerm],
        formula: Formula,
        mask: Mask,
        optimism: float = 1.0,
    ) -> None:
        self._snapshot, self._mask, self._optimism = snapshot, mask, optimism
        self._terms = terms
        self._parts = [
            _Part(postings, number, terms, formula, mask.parts[number])
            for number, postings in enumerate(statistics.postings)
        ]

    @property
    def exact(self) -> bool:
        """Whether ``top`` is the true one."""
        return self._optimism == 1

    @property
    def eligible(self) -> int:
        """How many documents the mask lets through."""
        return self._mask.count

    def top(self, k: int) -> Ranking:
        """Return the best ``k`` documents that score above 0."""
        if k <= 0 or not self._terms:
            return merge([], k, self._snapshot.ids)
        floor = np.zeros(1, np.float64)  # a score that k documents reach: later segments need not look below
        rankings = []
        for view, part in zip(self._snapshot.segments, self._parts, strict=True):
            for ordinals, scores in part.best(min(k, view.size), self._optimism, floor, k):
                rankings.append(Ranking(ordinals + view.base if view.base else ordinals, scores))
        return merge(rankings, k, self._snapshot.ids)

    def scores(self, docnums: Docnums) -> Floats:
        """Return the score of each document, whether or not the mask lets it through."""
        docnums = np.asarray(docnums, np.int64)
        scores = np.zeros(len(docnums), np.float32)
        for part, here, ordinals in self._located(docnums):
            scores[here] = part.contributions(ordinals)[0]
        return scores

    def ranks(self, docnums: Docnums) -> NDArray[np.int64]:
        """Return each document's rank from 1, or 0 where it is not ranked."""
        docnums = np.asarray(docnums, np.int64)
        scores = self.scores(docnums)
        for part, here, ordinals in self._located(docnums):
            if len(part.mask):
                scores[here] *= part.mask[ordinals]
        ranked = np.flatnonzero(scores)
        ranks = np.zeros(len(docnums), np.int64)
        if len(ranked):
            ranks[ranked] = true_ranks(self._snapshot, docnums[ranked], scores[ranked], self._standing)
        return ranks

    def minimum(self) -> float:
        """Return the lowest score of an eligible document: 0.0 if one is not ranked, or there are none."""
        if sum(term.statistics.frequency for term in self._terms) < self.eligible:
            return 0.0
        found = [part.reaching(0.0)[1] for part in self._parts]
        if sum(map(len, found)) < self.eligible or not self.eligible:
            return 0.0
        return min(float(scores.min()) for scores in found if len(scores))

    def matches(self, docnum: int) -> list[TermMatch]:
        """Return the query's terms in a document, the one that adds most first."""
        number, ordinal = self._snapshot.locate(docnum)
        part = self._parts[number]
        added = part.contributions(np.array([ordinal], np.int64))[1][0]
        found = [
            TermMatch(part.terms[n].term, part.terms[n].factor, float(added[n]))
            for n in np.flatnonzero(added >= 0).tolist()
        ]
        return sorted(found, key=lambda match: (-match.score, match.term))

    def _standing(self, number: int, levels: Floats) -> Standing:
        """Return how a segment's ranked documents stand to scores, given in ascending order."""
        ordinals, scores = self._parts[number].reaching(float(levels[0]))
        ascending = np.sort(scores)
        left = np.searchsorted(ascending, levels, "left")
        right = np.searchsorted(ascending, levels, "right")
        return Standing(len(ascending) - right, right - left, lambda level: ordinals[scores == levels[level]])

    def _located(self, docnums: Docnums) -> Iterator[tuple[_Part, Any, Docnums]]:
        """Yield each segment's part of the query, which of the documents it holds, and their ordinals."""
        if len(self._parts) == 1:
            yield self._parts[0], slice(None), docnums
            return
        for view, part in zip(self._snapshot.segments, self._parts, strict=True):
            here = (docnums >= view.base) & (docnums < view.base + view.size)
            if here.any():
                yield part, here, docnums[here] - view.base


class _Part:
    """A query against one segment."""

    def __init__(
        self,
        postings: Postings,
        number: int,
        terms: Sequence[WeightedTerm],
        formula: Formula,
        mask: NDArray[np.bool_] | None,
    ) -> None:
        self.terms = [term for term in terms if term.statistics.positions[number] >= 0]
        self.mask = _EVERYTHING if mask is None else readonly(mask)
        self._postings = postings
        self._positions = [term.statistics.positions[number] for term in self.terms]
        self._factors = np.array([term.factor for term in self.terms], np.float64)
        self._constants = np.array([term.constant for term in self.terms], np.float64)
        self._ceilings = formula.ceilings[number]
        self._segment = (postings.docs, postings.values, postings.lengths, formula.fields, formula.form)
        self._laid: tuple[Any, Any, Any] | None = None

    def best(
        self, k: int, optimism: float, floor: Doubles, wanted: int
    ) -> list[tuple[NDArray[np.int64], Floats]]:
        """Return the ordinals and scores of the best ``k``, in one list or several.

        ``floor`` holds a score that ``wanted`` documents reach; it is raised where k is ``wanted``.
        """
        from hybrid.kernels.postings import best

        if not self.terms:
            return []
        plan, reached = self._plan(), floor if k == wanted else floor.copy()
        total = sum(self._postings.starts[p + 1] - self._postings.starts[p] for p in self._positions)
        parts = thread_count() if total >= _SHARED else 1
        query = (self._factors, self._constants, self._tops(), self._ceilings, self.mask, k, optimism)
        return parallel(lambda part: best(*plan, *self._segment, *query, part, parts, reached), range(parts))

    def reaching(self, needed: float) -> tuple[NDArray[np.int64], Floats]:
        """Return the eligible documents that score above 0 and at least ``needed``, by ordinal."""
        from hybrid.kernels.postings import reaching

        if not self.terms:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        query = (self._factors, self._constants, self._tops(), self._ceilings, self.mask)
        found: tuple[NDArray[np.int64], Floats] = reaching(*self._plan(), *self._segment, *query, needed)
        return found

    def contributions(self, ordinals: NDArray[np.int64]) -> tuple[Floats, Doubles]:
        """Return documents' scores, and what each of ``terms`` adds (-1: it is not there)."""
        from hybrid.kernels.postings import contributions

        if not self.terms:
            return np.zeros(len(ordinals), np.float32), np.zeros((len(ordinals), 0), np.float64)
        found: tuple[Floats, Doubles] = contributions(
            self._plan()[0], *self._segment, self._factors, self._constants, ordinals
        )
        return found

    def _plan(self) -> tuple[Any, Any, Any]:
        """Return the query's blocks by window (`hybrid.kernels.postings.plan`), laid out once."""
        from hybrid.kernels.postings import plan

        if self._laid is None:
            postings, at = self._postings, np.array(self._positions, np.int64)
            self._laid = plan(
                postings.blocks[at].astype(np.int64),
                postings.blocks[at + 1].astype(np.int64),
                postings.starts[at].astype(np.int64),
                postings.windows,
                postings.sizes,
                postings.levels,
                postings.documents,
                self._tops(),
                self._constants,
                self._ceilings,
            )
        return self._laid

    def _tops(self) -> Doubles:
        """Return what a ceiling of 1 is worth, for each term."""
        if not self._postings.learned:
            return self._factors
        return self._factors * self._postings.peaks[self._positions]


def in_order(terms: Sequence[WeightedTerm]) -> list[WeightedTerm]:
    """Return terms in the order in which they are added up: the heaviest first, then by spelling."""
    return sorted(terms, key=lambda term: (-term.factor, term.term))
