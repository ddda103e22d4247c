"""Answers from compiled kernels."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybrid.index.sparse.postings import Place
from hybrid.index.sparse.query import Found, SegmentQuery
from hybrid.ranking import top_positions
from hybrid.threads import parallel, thread_count
from hybrid.types import Doubles, Floats

_WEIGHTS = ("factors", "constants", "tops")

SHARED = 1 << 22
"""From so many postings a query's windows are shared among threads."""

WHOLE, WHOLE_SHARE = 2048, 8
"""From so many results, if they are one in so many of the postings or more, nothing is pruned.

Measured on 192,860 documents: for 1,000 results pruning wins always, for 3,000 it loses where they are
more than about a tenth of the postings, for 10,000 everywhere.
"""


class Compiled:
    """Block-max pruning over windows of documents (`hybrid.kernels.postings`)."""

    def __init__(self, query: SegmentQuery) -> None:
        self._query = query
        postings = query.postings
        self._segment = (postings.docs, postings.values, postings.lengths, query.fields, query.form)
        self._tops = query.tops
        self._laid: tuple[Any, Any, Any] | None = None

    def best(self, k: int, floor: Doubles) -> list[Found]:
        """Return the best ``k`` (see `Answers`)."""
        from hybrid.kernels.postings import answer, best

        query = self._query
        if k >= WHOLE and k * WHOLE_SHARE >= query.postings_read():
            return [self._best_of_all(k, floor)]
        weights = (query.factors, query.constants, self._tops, query.ceilings, query.mask)
        parts = thread_count() if query.postings_read() >= SHARED else 1
        if self._laid is None and parts == 1:
            self._laid, *found = answer(*self._blocks(), *self._segment, *weights, k, floor)
            return [(found[0], found[1])]
        return parallel(
            lambda part: best(*self._plan, *self._segment, *weights, k, part, parts, floor),
            range(parts),
        )

    def _best_of_all(self, k: int, floor: Doubles) -> Found:
        """Return the best ``k`` without pruning: what is asked for is a good part of what there is."""
        ordinals, scores = self.reaching(float(floor[0]))
        best = top_positions(scores, k)
        if len(best) == k:
            floor[0] = max(floor[0], scores[best[-1]])
        return ordinals[best], scores[best]

    def reaching(self, needed: float) -> Found:
        """Return the documents that score at least ``needed`` (see `Answers`)."""
        from hybrid.kernels.postings import reaching

        query = self._query
        weights = (query.factors, query.constants, self._tops, query.ceilings, query.mask)
        found: Found = reaching(*self._plan, *self._segment, *weights, needed)
        return found

    def contributions(self, ordinals: NDArray[np.int64]) -> tuple[Floats, Doubles]:
        """Return documents' scores, and what each term adds (see `Answers`)."""
        from hybrid.kernels.postings import contributions

        query = self._query
        found: tuple[Floats, Doubles] = contributions(
            self._plan[0], *self._segment, query.factors, query.constants, ordinals
        )
        return found

    @property
    def _plan(self) -> tuple[Any, Any, Any]:
        """The query's blocks by window (`hybrid.kernels.postings.plan`)."""
        from hybrid.kernels.postings import plan

        if self._laid is None:
            query, (places, *blocks) = self._query, self._blocks()
            self._laid = plan(
                *places, *blocks, query.postings.documents, self._tops, query.constants, query.ceilings
            )
        return self._laid

    def _blocks(self) -> tuple[Any, Any, Any, Any]:
        """Where the terms' blocks are, and all blocks."""
        postings = self._query.postings
        return _columns(self._query.places), postings.windows, postings.sizes, postings.levels


def best_of_each(queries: Sequence[SegmentQuery], k: int) -> list[Found]:
    """Return the best ``k`` of each query against one segment and mask, all in compiled code.

    The queries are shared among threads, and none of them returns to the interpreter in between.
    """
    pieces = min(thread_count(), len(queries))
    edges = np.linspace(0, len(queries), pieces + 1).astype(np.int64).tolist()
    found = parallel(lambda edge: _best_of_some(queries[edge[0] : edge[1]], k), list(pairwise(edges)))
    return [answer for piece in found for answer in piece]


def _best_of_some(queries: Sequence[SegmentQuery], k: int) -> list[Found]:
    from hybrid.kernels.postings import best_of_each

    postings, query = queries[0].postings, queries[0]
    offsets = np.zeros(len(queries) + 1, np.int64)
    np.cumsum([len(each.places) for each in queries], out=offsets[1:])
    weights = (np.concatenate([getattr(each, name) for each in queries]) for name in _WEIGHTS)
    docs, scores = np.empty((len(queries), k), np.int64), np.empty((len(queries), k), np.float32)
    counts = np.empty(len(queries), np.int64)
    best_of_each(
        offsets,
        *_columns([place for each in queries for place in each.places]),
        *(postings.windows, postings.sizes, postings.levels, postings.docs, postings.values),
        *(postings.lengths, query.fields, query.form, *weights, query.ceilings, query.mask),
        *(docs, scores, counts),
    )
    return [(docs[row, :count], scores[row, :count]) for row, count in enumerate(counts.tolist())]


def _columns(places: Sequence[Place]) -> NDArray[np.int64]:
    """Return where terms' blocks begin and end, and where their postings begin."""
    columns = [
        [place.first_block for place in places],
        [place.last_block for place in places],
        [place.first for place in places],
    ]
    return np.array(columns, np.int64)
