"""Exact nearest neighbours in one segment, by a scan of 8-bit codes.

The codes are read instead of the vectors, a quarter of the memory. They bound each score from both
sides (`hybrid.index.dense.codes`), and only documents that may belong to the result are scored from
their vectors. So the result is that of scoring every document, to the bit, whatever the order and
the threads.
"""

from __future__ import annotations

import sys
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybrid.index.dense.codes import Codes, QueryCode
from hybrid.index.dense.search import Found, Search, best_of, ordinals_of, standing_of
from hybrid.index.dense.stored import Stored
from hybrid.index.ranks import Standing
from hybrid.kernels.compiling import compiling_pays, interpreting
from hybrid.ranking import top_positions
from hybrid.threads import parallel, thread_count
from hybrid.types import Bools, Doubles, Floats

_PART = 1 << 22
"""How many codes a thread reads at least, if the scan is shared."""

_SECONDS_PER_NUMBER = 2e-10
"""What a comparison with the vectors themselves takes, about."""

_ALL = np.empty(0, np.bool_)


class ScanSegment:
    """One query against one segment's codes.

    ``eligible``: bool, shape (n,), None for all. ``twin`` gives the same answers without compiled
    code, and is asked where loading that would take longer.
    """

    def __init__(
        self, stored: Stored, codes: Codes, query: Floats, eligible: Bools | None, twin: Search
    ) -> None:
        self._stored, self._codes, self._query, self._twin = stored, codes, query, twin
        self._eligible = eligible
        self._count = len(stored) if eligible is None else int(np.count_nonzero(eligible))
        expected = stored.vectors.values.size * _SECONDS_PER_NUMBER
        self._compiled = "hybrid.kernels.scan" in sys.modules or compiling_pays(expected)

    def top(self, k: int, floor: Doubles) -> Found:
        """Return the best ``k`` documents (see `Search`)."""
        if self._count <= k or not self._query.any():
            ordinals = ordinals_of(self._stored, self._eligible)
            return best_of(self._stored, ordinals if self._count <= k else ordinals[:k], self._query, k)
        if not self._compiled:
            with interpreting():
                return self._twin.top(k, floor)
        from hybrid.kernels.scan import collect

        found = parallel(lambda part: collect(*self._scanned, *part, k, floor), self._parts)
        rows, lows, highs = (np.concatenate(column) for column in zip(*found, strict=True))
        if len(rows) > k:
            reaching = highs >= max(floor[0], np.partition(lows, len(lows) - k)[len(lows) - k])
            rows, lows, highs = rows[reaching], lows[reaching], highs[reaching]
        return self._scored(rows, lows + highs, highs, k, floor)

    def _scored(
        self, rows: NDArray[np.int64], likely: Doubles, highs: Doubles, k: int, floor: Doubles
    ) -> Found:
        """Score the likely best, and then what can still be above the last of them."""
        if len(rows) <= k:
            return best_of(self._stored, rows, self._query, k)
        first = np.zeros(len(rows), np.bool_)
        first[top_positions(likely, k)] = True
        products = self._stored.vectors.products
        scores = np.full(len(rows), -np.inf, np.float32)
        scores[first] = products(rows[first], self._query)
        last = float(scores[first].min())
        floor[0] = max(floor[0], last)
        second = ~first & (highs >= last)
        scores[second] = products(rows[second], self._query)
        best = top_positions(scores, k)
        return rows[best], scores[best]

    def standing(self, levels: Floats) -> Standing:
        """Return how the documents stand to true scores, given in ascending order."""
        if not self._compiled:
            with interpreting():
                return self._twin.standing(levels)
        from hybrid.kernels.scan import count_above

        wide = levels.astype(np.float64)
        found = parallel(lambda part: count_above(*self._scanned, *part, wide), self._parts)
        rows = np.concatenate([rows for _, rows in found])
        near = standing_of(rows, self._stored.vectors.products(rows, self._query), levels)
        beyond = np.sum([above for above, _ in found], axis=0)  # how many lie above exactly j levels
        return Standing(near.above + beyond[:0:-1].cumsum()[::-1], near.equal, near.tied)

    @cached_property
    def _scanned(self) -> tuple[Any, ...]:
        """What the kernels read."""
        codes, eligible = self._codes, _ALL if self._eligible is None else self._eligible
        code = QueryCode.of(self._query, codes.codes.shape[1])
        return (codes.codes, codes.bounds, eligible, code.numbers, code.factor, code.weights)

    @cached_property
    def _parts(self) -> list[tuple[int, int]]:
        """The rows that each thread takes at a time, from and to."""
        count = max(1, min(thread_count(), self._codes.codes.size // _PART))
        edges = np.linspace(0, len(self._stored), count + 1).astype(np.int64).tolist()
        return list(pairwise(edges))
