"""Answers from compiled kernels."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybrid.index.sparse.query import Found, SegmentQuery
from hybrid.threads import parallel, thread_count
from hybrid.types import Doubles, Floats

SHARED = 1 << 22
"""From so many postings a query's windows are shared among threads."""


class Compiled:
    """Block-max pruning over windows of documents (`hybrid.kernels.postings`)."""

    def __init__(self, query: SegmentQuery) -> None:
        self._query = query
        postings = query.postings
        self._segment = (postings.docs, postings.values, postings.lengths, query.fields, query.form)
        self._tops = query.factors * postings.peaks[query.positions] if postings.learned else query.factors

    def best(self, k: int, floor: Doubles) -> list[Found]:
        """Return the best ``k`` (see `Answers`)."""
        from hybrid.kernels.postings import best

        query = self._query
        weights = (query.factors, query.constants, self._tops, query.ceilings, query.mask)
        parts = thread_count() if query.postings_read() >= SHARED else 1
        return parallel(
            lambda part: best(*self._plan, *self._segment, *weights, k, part, parts, floor),
            range(parts),
        )

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

    @cached_property
    def _plan(self) -> tuple[Any, Any, Any]:
        """The query's blocks by window (`hybrid.kernels.postings.plan`)."""
        from hybrid.kernels.postings import plan

        query, postings = self._query, self._query.postings
        laid: tuple[Any, Any, Any] = plan(
            postings.blocks[query.positions].astype(np.int64),
            postings.blocks[query.positions + 1].astype(np.int64),
            postings.starts[query.positions].astype(np.int64),
            postings.windows,
            postings.sizes,
            postings.levels,
            postings.documents,
            self._tops,
            query.constants,
            query.ceilings,
        )
        return laid
