"""Exact nearest neighbours in one segment, by a scan of 8-bit codes.

The codes are read instead of the vectors, a quarter of the memory. They bound each score from both
sides (`hybrid.index.dense.codes`), and only documents that may belong to the result are scored from
their vectors. So the result is that of scoring every document, to the bit, whatever the order and
the threads.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybrid.index.dense.codes import Codes, QueryCode
from hybrid.index.dense.search import Found, Search, best_of, ordinals_of, standing_of
from hybrid.index.dense.stored import Stored
from hybrid.index.ranks import Standing
from hybrid.kernels.compiling import compiling_pays, interpreting
from hybrid.kernels.inner import float32_error
from hybrid.ranking import top_positions
from hybrid.threads import parallel, thread_count
from hybrid.types import Bools, Doubles, Floats

_PART = 1 << 22
"""How many codes a thread reads at least, if the scan is shared."""

_SECONDS_PER_NUMBER = 2e-10
"""What a comparison with the vectors themselves takes, about."""

_FEW = 4096
"""So many candidates are scored from their vectors rather than looked up in longer codes."""

_ALL = np.empty(0, np.bool_)
_NO_SUMS = np.empty(0, np.int32)


@dataclass(frozen=True, slots=True, eq=False)
class _Candidates:
    """Rows (int64, ascending), by what they rank (float64), and the greatest score of each (float64)."""

    rows: NDArray[np.int64]
    likely: Doubles
    highs: Doubles


class ScanSegment:
    """One query against one segment's codes.

    ``tiers``: its codes, the shortest first; what one cannot exclude is looked up in the next.
    ``eligible``: bool, shape (n,), None for all. ``twin`` gives the same answers without compiled
    code, and is asked where loading that would take longer.
    """

    def __init__(
        self,
        stored: Stored,
        tiers: Sequence[Codes],
        query: Floats,
        eligible: Bools | None,
        twin: Search,
    ) -> None:
        self._stored, self._tiers, self._query, self._twin = stored, tiers, query, twin
        self._eligible = eligible
        self._count = len(stored) if eligible is None else int(np.count_nonzero(eligible))
        expected = stored.vectors.values.size * _SECONDS_PER_NUMBER
        self._sums: NDArray[np.int32] | None = None
        self._compiled = "hybrid.kernels.scan" in sys.modules or compiling_pays(expected)

    def top(self, k: int, floor: Doubles) -> Found:
        """Return the best ``k`` documents (see `Search`)."""
        if self._count <= k or not self._query.any():
            ordinals = ordinals_of(self._stored, self._eligible)
            return best_of(self._stored, ordinals if self._count <= k else ordinals[:k], self._query, k)
        if not self._compiled:
            with interpreting():
                return self._twin.top(k, floor)
        candidates = self._collected(self._tiers[0], self._eligible, k, floor)
        for codes in self._tiers[1:]:
            if len(candidates.rows) <= max(_FEW, 4 * k):
                break
            self._raise(floor, candidates, k)
            left = np.zeros(len(self._stored), np.bool_)
            left[candidates.rows[candidates.highs >= floor[0]]] = True
            candidates = self._collected(codes, left, k, floor)
        return self._scored(candidates, k, floor)

    def _collected(self, codes: Codes, eligible: Bools | None, k: int, floor: Doubles) -> _Candidates:
        """Return the rows that can be among the best ``k``, by their codes."""
        from hybrid.kernels.scan import collect

        scanned = self._scanned(codes, eligible)
        found = parallel(lambda part: collect(*scanned, *part, k, floor), self._parts(codes))
        self._keep(codes, eligible, scanned)
        rows, lows, highs = (np.concatenate(column) for column in zip(*found, strict=True))
        if len(rows) > k:
            reaching = highs >= max(floor[0], np.partition(lows, len(lows) - k)[len(lows) - k])
            rows, lows, highs = rows[reaching], lows[reaching], highs[reaching]
        return _Candidates(rows, lows + highs, highs)

    def _raise(self, floor: Doubles, candidates: _Candidates, k: int) -> None:
        """Raise the floor to what the likely best ``k`` reach."""
        likely = candidates.rows[top_positions(candidates.likely, k)]
        floor[0] = max(floor[0], float(self._stored.vectors.products(likely, self._query).min()))

    def _scored(self, candidates: _Candidates, k: int, floor: Doubles) -> Found:
        """Score the likely best, and then what can still be above the last of them."""
        rows = candidates.rows
        if len(rows) <= k:
            return best_of(self._stored, rows, self._query, k)
        first = np.zeros(len(rows), np.bool_)
        first[top_positions(candidates.likely, k)] = True
        products = self._stored.vectors.products
        scores = np.full(len(rows), -np.inf, np.float32)
        scores[first] = products(rows[first], self._query)
        last = float(scores[first].min())
        floor[0] = max(floor[0], last)
        second = ~first & (candidates.highs >= last)
        scores[second] = products(rows[second], self._query)
        best = top_positions(scores, k)
        return rows[best], scores[best]

    def standing(self, levels: Floats) -> Standing:
        """Return how the documents stand to true scores, given in ascending order."""
        if not self._compiled:
            with interpreting():
                return self._twin.standing(levels)
        from hybrid.kernels.scan import count_above

        wide, scanned = levels.astype(np.float64), self._scanned(self._tiers[-1], self._eligible)
        counted = parallel(lambda part: count_above(*scanned, *part, wide), self._parts(self._tiers[-1]))
        self._keep(self._tiers[-1], self._eligible, scanned)
        rows = np.concatenate([rows for _, rows in counted])
        if len(rows) > _FEW and self._stored.vectors.values.dtype == np.float32:
            nearer = self._nearer(rows, wide)
            counted += nearer
            rows = np.concatenate([rows for _, rows in nearer])
        near = standing_of(rows, self._stored.vectors.products(rows, self._query), levels)
        beyond = np.sum([above for above, _ in counted], axis=0)  # how many lie above exactly j levels
        return Standing(near.above + beyond[:0:-1].cumsum()[::-1], near.equal, near.tied)

    def _nearer(self, rows: NDArray[np.int64], levels: Doubles) -> list[tuple[Any, Any]]:
        """Count many rows that the codes leave open, by float32 products: few then stay open."""
        from hybrid.kernels.scan import count_near

        vectors, query = self._stored.vectors.values, self._query
        longest = self._stored.longest * (1 + 1e-9)
        length = float(np.linalg.norm(query.astype(np.float64))) * (1 + 1e-9)
        error = float32_error(len(query), length, longest)
        pieces = np.array_split(rows, max(1, min(thread_count(), len(rows) * len(query) // _PART)))
        return parallel(lambda piece: count_near(vectors, piece, query, error, levels), pieces)

    def _scanned(self, codes: Codes, eligible: Bools | None) -> tuple[Any, ...]:
        """Return what the kernels read, and where they keep the sums of the last codes for a second scan."""
        code = QueryCode.of(self._query, codes.codes.shape[1])
        mask = _ALL if eligible is None else eligible
        sums, known = _NO_SUMS, False
        if codes is self._tiers[-1] and eligible is self._eligible:
            known = self._sums is not None
            sums = np.empty(len(self._stored), np.int32) if self._sums is None else self._sums
        return (codes.codes, codes.bounds, mask, code.numbers, code.factor, code.weights, sums, known)

    def _keep(self, codes: Codes, eligible: Bools | None, scanned: tuple[Any, ...]) -> None:
        """Keep the sums of a scan that has ended."""
        if codes is self._tiers[-1] and eligible is self._eligible:
            self._sums = scanned[6]

    def _parts(self, codes: Codes) -> list[tuple[int, int]]:
        """Return the rows that each thread takes, from and to."""
        count = max(1, min(thread_count(), codes.codes.size // _PART))
        return list(pairwise(np.linspace(0, len(self._stored), count + 1).astype(np.int64).tolist()))
