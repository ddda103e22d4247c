"""Exact nearest neighbours in one segment, by float32 candidates and exact rescoring.

A fast float32 search finds more candidates than were asked for. They are scored exactly, and an
error bound decides whether any other document could belong to the result; if so, every document
near enough to the last place is scored exactly too. So the result never depends on the library's
order of additions, on threads, or on the processor.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybrid.index.dense.library import library
from hybrid.index.dense.search import Found, best_of, ordinals_of
from hybrid.index.dense.stored import Stored
from hybrid.index.ranks import Standing
from hybrid.kernels.inner import float32_error
from hybrid.types import Bools, Doubles, Floats

_PAD = 32
"""How many more candidates are taken than are asked for."""

_FEW = 512
"""Up to so many documents are scored exactly at once: the search itself would cost as much."""


class FlatSegment:
    """One query against one segment's float32 vectors; ``eligible``: bool, shape (n,), None for all."""

    def __init__(self, stored: Stored, query: Floats, eligible: Bools | None) -> None:
        self._stored, self._query, self._eligible = stored, query, eligible
        self._vectors = stored.vectors.values
        self._count = len(stored) if eligible is None else int(np.count_nonzero(eligible))
        query_length = float(np.linalg.norm(query.astype(np.float64))) * (1 + 1e-9)
        self._error = float32_error(len(query), query_length, stored.longest * (1 + 1e-9))
        self._column: tuple[NDArray[np.int64], Floats] | None = None

    def top(self, k: int, floor: Doubles) -> Found:
        """Return the best ``k`` documents (see `Search`)."""
        if k <= 0:
            return self._best(np.empty(0, np.int64), 0)
        if self._count <= max(k, _FEW):
            return self._best(self._ordinals(), k)
        if not self._query.any():
            ordinals = self._ordinals()[:k]
            return ordinals, np.zeros(len(ordinals), np.float32)
        found, approximate = self._search(min(k + _PAD, self._count))
        ordinals, scores = self._best(np.sort(found), k)
        last = np.float64(scores[-1])  # float64, so that numpy compares in float64
        if len(found) < self._count and last <= np.float64(approximate[-1]) + self._error:
            # A document outside could score as much as the last one inside. If it does, its float32
            # score is near enough:
            candidates, column = self._approximate()
            ordinals, scores = self._best(candidates[column >= last - self._error], k)
        return ordinals, scores

    def standing(self, levels: Floats) -> Standing:
        """Return how the eligible documents stand to true scores, given in ascending order.

        Those whose float32 score is within the error bound of a level are scored exactly.
        """
        wide = levels.astype(np.float64)
        ordinals, column = self._approximate()
        reaching = np.flatnonzero(column >= wide[0] - self._error)
        order = reaching[np.argsort(column[reaching])]
        ordinals, column = ordinals[order], column[order].astype(np.float64)
        low = np.searchsorted(column, wide - self._error, "left")
        high = np.searchsorted(column, wide + self._error, "right")
        near = np.zeros(len(column) + 1, np.int64)
        np.add.at(near, low, 1)
        np.add.at(near, high, -1)
        uncertain = np.flatnonzero(np.cumsum(near[:-1]) > 0)
        exact = np.empty(len(column), np.float32)
        exact[uncertain] = self._stored.vectors.products(ordinals[uncertain], self._query)
        above = len(column) - high
        equal = np.empty(len(levels), np.int64)
        for n, (level, start, stop) in enumerate(zip(levels, low.tolist(), high.tolist(), strict=True)):
            band = exact[start:stop]
            above[n] += np.count_nonzero(band > level)
            equal[n] = np.count_nonzero(band == level)

        def tied(n: int) -> NDArray[np.int64]:
            return np.sort(ordinals[low[n] : high[n]][exact[low[n] : high[n]] == levels[n]])

        return Standing(above, equal, tied)

    def _ordinals(self) -> NDArray[np.int64]:
        """Return the eligible documents, ascending."""
        return ordinals_of(self._stored, self._eligible)

    def _best(self, ordinals: NDArray[np.int64], k: int) -> Found:
        return best_of(self._stored, ordinals, self._query, k)

    def _search(self, k: int) -> tuple[NDArray[np.int64], Floats]:
        """Return the ``k`` eligible documents with the highest float32 scores, best first.

        faiss reads the mapped file where it lies. It is always given a selector: without one it
        takes another path for a single query.
        """
        faiss = library()
        n, d = self._vectors.shape
        scores, found = np.empty(k, np.float32), np.empty(k, np.int64)
        selector: Any = faiss.IDSelectorAll()
        if self._eligible is not None:
            bits = np.packbits(self._eligible, bitorder="little")
            selector = faiss.IDSelectorBitmap(len(bits), faiss.swig_ptr(bits))
        at = faiss.swig_ptr
        faiss.knn_inner_product(
            at(self._query), at(self._vectors), d, 1, n, k, at(scores), at(found), selector
        )
        return found, scores

    def _approximate(self) -> tuple[NDArray[np.int64], Floats]:
        """Return the eligible documents, ascending, and their float32 scores."""
        if self._column is None:
            # Both are finite and of bounded length (`LONGEST`): no product is invalid. A BLAS may say so all
            # the same, of what stands in the parts of registers that it does not use.
            with np.errstate(invalid="ignore"):
                column = self._vectors @ self._query
            ordinals = self._ordinals()
            self._column = (ordinals, column if self._eligible is None else column[ordinals])
        return self._column
