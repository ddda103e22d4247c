"""Scans over 8-bit codes of vectors, with bounds: which rows can hold the best scores, and which cannot.

A row's code c and scale s stand for the vector s·c; the query is given as 16-bit numbers and a
factor. Their inner product is a sum of integers, hence exact, and ``bounds`` and ``weights`` say how
far from it the true score can lie: row i, with ``bounds[i]`` = (scale, error, size, rest), is within
error·w0 + size·w1 + rest·w2 + w3. What these are, and why it holds, is told in
`hybrid.index.dense.codes`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hybrid.kernels.mixed import multiply
from hybrid.kernels.prefetch import prefetch

_FIRST = 1024
"""For how many rows there is room at first."""

_LINE = 64
"""Bytes in a cache line."""

_ROWS = 1024
"""How many rows are bounded at a time; then a scan looks at what the other threads have found."""

_LOOK = 64
"""How many rows are looked at together: most of them hold nothing."""

_LEAST = -float(np.finfo(np.float64).max)
"""What every eligible row reaches, and no other."""


@njit(cache=True, nogil=True, error_model="numpy")
def collect(
    codes: NDArray[Any],
    bounds: NDArray[Any],
    eligible: NDArray[Any],
    query: NDArray[Any],
    factor: float,
    weights: NDArray[Any],
    sums: NDArray[Any],
    known: bool,
    start: int,
    stop: int,
    k: int,
    floor: NDArray[Any],
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return the rows from ``start`` to ``stop`` that can be among the best ``k``, and more.

    Returns the rows (int64, ascending), and the least and the greatest score that each can have
    (float64). A row is left out only if its greatest is below a score that k eligible rows reach.

    ``codes``: int8, shape (n, p), C order. ``bounds``: float32, shape (n, 4). ``eligible``: bool,
    shape (n,), or (0,) for all. ``query``: int16, shape (p,), such that no inner product overflows
    int32. ``weights``: float64, shape (4,). ``sums``: int32, shape (n,): the inner products if they are
    ``known``, else where to write them; shape (0,) if they are of no further use. ``floor``: float64,
    shape (1,), a score that k rows reach, -inf if unknown; raised here, and shared by the threads of a
    search (that one may overwrite another's value with a lower one does no harm: any value is true).
    """
    rows, lows, highs = np.empty(_FIRST, np.int64), np.empty(_FIRST), np.empty(_FIRST)
    count = 0
    best = np.full(k, -np.inf)
    needed = max(floor[0], _LEAST)
    room, low, high = np.empty(_ROWS, np.int32), np.empty(_ROWS), np.empty(_ROWS)
    for first in range(start, stop, _ROWS):
        last = min(first + _ROWS, stop)
        floor[0] = max(floor[0], best[0])
        needed = max(floor[0], needed)
        _bound(codes, bounds, eligible, query, factor, weights, sums, known, first, last, room, low, high)
        for near in range(0, last - first, _LOOK):
            end = min(near + _LOOK, last - first)
            if _reaching(high, near, end, needed) == 0:
                continue
            for n in range(near, end):
                if high[n] < needed:
                    continue
                if count == len(rows):
                    count = _keep(rows, lows, highs, count, needed)
                    if 2 * count > len(rows):
                        rows, lows, highs = _doubled(rows), _doubled(lows), _doubled(highs)
                rows[count], lows[count], highs[count] = first + n, low[n], high[n]
                count += 1
                if low[n] > best[0]:
                    _replace_least(best, low[n])
                    needed = max(needed, best[0])
    floor[0] = max(floor[0], best[0])
    count = _keep(rows, lows, highs, count, needed)
    return rows[:count].copy(), lows[:count].copy(), highs[:count].copy()


@njit(cache=True, nogil=True, error_model="numpy")
def count_above(
    codes: NDArray[Any],
    bounds: NDArray[Any],
    eligible: NDArray[Any],
    query: NDArray[Any],
    factor: float,
    weights: NDArray[Any],
    sums: NDArray[Any],
    known: bool,
    start: int,
    stop: int,
    levels: NDArray[Any],
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Count the rows that are certainly above each level, and return those that must be looked at.

    Returns how many rows lie certainly above exactly the first j levels, for j from 0 (int64, shape
    (levels + 1,)), and the other rows (int64, ascending): those that could equal a level.
    ``levels``: float64, ascending; the rest as in `collect`.
    """
    above = np.zeros(len(levels) + 1, np.int64)
    rows = np.empty(_FIRST, np.int64)
    count = 0
    room, low, high = np.empty(_ROWS, np.int32), np.empty(_ROWS), np.empty(_ROWS)
    for first in range(start, stop, _ROWS):
        last = min(first + _ROWS, stop)
        _bound(codes, bounds, eligible, query, factor, weights, sums, known, first, last, room, low, high)
        for n in range(last - first):
            if high[n] < levels[0]:
                above[0] += high[n] > -np.inf
                continue
            below = _levels_below(levels, low[n])
            if below == len(levels) or levels[below] > high[n]:
                above[below] += 1
                continue
            if count == len(rows):
                rows = _doubled(rows)
            rows[count] = first + n
            count += 1
    return above, rows[:count].copy()


@njit(cache=True, nogil=True, error_model="numpy")
def count_near(
    vectors: NDArray[Any],
    rows: NDArray[Any],
    query: NDArray[Any],
    error: float,
    levels: NDArray[Any],
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Do for some rows what `count_above` does for all, by float32 products of the vectors themselves.

    ``vectors``: float32, shape (n, d), C order. ``rows``: int64. ``query``: float32, shape (d,). ``error``:
    how far such a product, added in any order, can lie from the true score.
    """
    above = np.zeros(len(levels) + 1, np.int64)
    unsure, count = np.empty(len(rows), np.int64), 0
    for n in range(len(rows)):
        if n + 1 < len(rows):
            for j in range(0, vectors.shape[1], _LINE // vectors.itemsize):
                prefetch(vectors, rows[n + 1] * vectors.shape[1] + j)
        middle = _rough(vectors[rows[n]], query)
        first = _levels_below(levels, middle - error)
        if first == len(levels) or levels[first] > middle + error:
            above[first] += 1
        else:
            unsure[count] = rows[n]
            count += 1
    return above, unsure[:count].copy()


@njit(cache=True, nogil=True, error_model="numpy")
def products(vectors: NDArray[Any], rows: NDArray[Any], query: NDArray[Any]) -> NDArray[Any]:
    """Return what `hybrid.kernels.inner.inner_products` gives for some rows, to the bit.

    ``vectors``: float32, shape (n, d), C order. ``rows``: int64. ``query``: float64, shape (d,).
    """
    dimension = vectors.shape[1]
    result = np.empty(len(rows), np.float32)
    values = np.empty(dimension, np.float64)
    for n in range(len(rows)):
        vector = vectors[rows[n]]
        for j in range(dimension):
            values[j] = np.float64(vector[j]) * query[j]
        width = dimension
        while width > 1:
            half = width // 2
            rest = width - half
            for j in range(half):
                values[j] += values[rest + j]
            width = rest
        result[n] = np.float32(values[0]) + np.float32(0.0)  # -0 + 0 is 0
    return result


@njit(cache=True, nogil=True, error_model="numpy")
def _bound(
    codes: NDArray[Any],
    bounds: NDArray[Any],
    eligible: NDArray[Any],
    query: NDArray[Any],
    factor: float,
    weights: NDArray[Any],
    sums: NDArray[Any],
    known: bool,
    start: int,
    stop: int,
    room: NDArray[Any],
    low: NDArray[Any],
    high: NDArray[Any],
) -> None:
    """Write the least and the greatest score of each row, -inf where it is not eligible.

    ``room``: int32, where the inner products stand that are to be kept nowhere.
    """
    here = sums[start:stop] if len(sums) > 0 else room
    if not known:
        multiply(codes, start, stop, eligible, query, here)
    for n in range(stop - start):
        i = start + n
        middle = factor * np.float64(bounds[i, 0]) * np.float64(here[n])
        error, size, rest = np.float64(bounds[i, 1]), np.float64(bounds[i, 2]), np.float64(bounds[i, 3])
        margin = error * weights[0] + size * weights[1] + rest * weights[2] + weights[3]
        low[n], high[n] = middle - margin, middle + margin
    if len(eligible) > 0:
        for n in range(stop - start):
            if not eligible[start + n]:
                low[n] = high[n] = -np.inf


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _levels_below(levels: NDArray[Any], value: float) -> int:
    """Return how many levels (ascending) are below a value, by a search without branches."""
    first, size = 0, len(levels)
    while size > 1:
        half = size >> 1
        first += half * (levels[first + half - 1] < value)
        size -= half
    return first + (levels[first] < value)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract"})
def _rough(vector: NDArray[Any], query: NDArray[Any]) -> float:
    """Return a float32 inner product, added in whatever order is fastest."""
    total = np.float32(0)
    for j in range(len(vector)):
        total += vector[j] * query[j]
    return np.float64(total)


@njit(cache=True, nogil=True, error_model="numpy")
def _reaching(high: NDArray[Any], start: int, stop: int, needed: float) -> int:
    """Return how many of some numbers are not below a score."""
    count = 0
    for n in range(start, stop):
        count += high[n] >= needed
    return count


@njit(cache=True, nogil=True, error_model="numpy")
def _keep(rows: NDArray[Any], lows: NDArray[Any], highs: NDArray[Any], count: int, needed: float) -> int:
    """Move to the front what reaches ``needed``; return how many that is."""
    kept = 0
    for n in range(count):
        if highs[n] >= needed:
            rows[kept], lows[kept], highs[kept] = rows[n], lows[n], highs[n]
            kept += 1
    return kept


@njit(cache=True, nogil=True, error_model="numpy")
def _doubled(array: NDArray[Any]) -> NDArray[Any]:
    """Return the array with as much room again behind it."""
    longer = np.empty(2 * len(array), array.dtype)
    longer[: len(array)] = array
    return longer


@njit(cache=True, nogil=True, error_model="numpy")
def _replace_least(heap: NDArray[Any], value: float) -> None:
    """Put a value in the place of the least of a heap, its root."""
    at, size = 0, len(heap)
    while True:
        child = 2 * at + 1
        if child >= size:
            break
        if child + 1 < size and heap[child + 1] < heap[child]:
            child += 1
        if heap[child] >= value:
            break
        heap[at] = heap[child]
        at = child
    heap[at] = value
