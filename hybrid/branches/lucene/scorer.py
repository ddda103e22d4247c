"""Lucene's scores over the live documents of a snapshot (the protocol `hybrid.types.Scorer`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybrid.branches.lucene.searcher import Clause, LuceneIndex, Similarity
from hybrid.forking import cached_property
from hybrid.index import Mask, Snapshot
from hybrid.ranking import Ranking
from hybrid.types import Bools, Docnums, Floats, TermMatch


class LuceneScorer:
    """One query's scores, all of them computed by Lucene.

    The filter goes into Lucene's search as the documents that it may accept, so the best are those of
    the filtered documents. Lucene sums the terms' float32 scores in float64 and rounds once. A deleted
    document, which the index does not hold, scores 0.
    """

    lower_bound = 0.0
    exact = True

    def __init__(
        self,
        snapshot: Snapshot,
        index: LuceneIndex,
        similarity: Similarity,
        clauses: Sequence[Clause],
        mask: Mask,
    ) -> None:
        self._snapshot, self._index, self._mask = snapshot, index, mask
        self._similarity, self._clauses = similarity, tuple(clauses)

    @property
    def eligible(self) -> int:
        """How many documents the mask lets through."""
        return self._mask.count

    def top(self, k: int) -> Ranking:
        """Return the best ``k`` documents that score above 0."""
        if not self.eligible:
            return self._ranking(np.empty(0, np.int64), np.empty(0, np.float32))
        found = self._index.search(self._clauses, self._similarity, k, self._accepted, pruned=True)
        return self._ranking(*found)

    def scores(self, docnums: Docnums) -> Floats:
        """Return the score of each document, whether or not the mask lets it through."""
        return self._scores(self._clauses, np.asarray(docnums, np.int64))

    def ranks(self, docnums: Docnums) -> NDArray[np.int64]:
        """Return each document's rank from 1, or 0 where it is not ranked."""
        ranks = np.zeros(self._snapshot.size, np.int64)
        ranks[self._everything.docnums] = np.arange(1, len(self._everything) + 1)
        return ranks[np.asarray(docnums, np.int64)]

    def minimum(self) -> float:
        """Return the lowest score of an eligible document: 0.0 if one is not ranked, or there are none."""
        everything = self._everything
        if not len(everything) or len(everything) < self.eligible:
            return 0.0
        return float(everything.scores[-1])

    def matches(self, docnum: int) -> list[TermMatch]:
        """Return the query's terms in a document, the one that adds most first."""
        one = np.array([docnum], np.int64)
        added = ((clause, float(self._scores([clause], one)[0])) for clause in self._clauses)
        found = [TermMatch(clause.term, clause.weight, score) for clause, score in added if score > 0]
        return sorted(found, key=lambda match: (-match.score, match.term))

    @cached_property
    def _everything(self) -> Ranking:
        """All ranked documents."""
        if not self.eligible:
            return self._ranking(np.empty(0, np.int64), np.empty(0, np.float32))
        found = self._index.search(self._clauses, self._similarity, self.eligible, self._accepted)
        return self._ranking(*found)

    @cached_property
    def _accepted(self) -> Any:
        """The eligible documents, as Java has them; None for all of the index."""
        if self.eligible == self._index.size:
            return None
        parts = zip(self._snapshot.segments, self._mask.parts, strict=True)
        mask = np.concatenate([np.ones(view.size, np.bool_) if p is None else p for view, p in parts])
        return self._index.bits(mask if self._index.docnums is None else mask[self._index.docnums])

    @cached_property
    def _positions(self) -> NDArray[np.int64]:
        """Lucene's number of each document of the snapshot, -1 for a deleted one."""
        docnums = self._index.docnums
        positions = np.full(self._snapshot.size, -1, np.int64)
        positions[slice(None) if docnums is None else docnums] = np.arange(self._index.size)
        return positions

    def _scores(self, clauses: Sequence[Clause], docnums: Docnums) -> Floats:
        wanted = self._positions[docnums]
        here = wanted >= 0
        asked: Bools = np.zeros(self._index.size, np.bool_)
        asked[wanted[here]] = True
        result = np.zeros(len(wanted), np.float32)
        if here.any():
            count = int(np.count_nonzero(asked))
            found, scores = self._index.search(clauses, self._similarity, count, self._index.bits(asked))
            everywhere = np.zeros(self._index.size, np.float32)
            everywhere[found] = scores
            result[here] = everywhere[wanted[here]]
        return result

    def _ranking(self, documents: Docnums, scores: Floats) -> Ranking:
        numbers = self._index.docnums
        return Ranking(documents if numbers is None else numbers[documents], scores)
