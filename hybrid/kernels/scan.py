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

from hybrid.kernels.prefetch import prefetch

_FIRST = 1024
"""For how many rows there is room at first."""

_LINE = 64
"""Bytes in a cache line."""

_ROWS = 256
"""After how many rows a scan looks at what the other threads have found."""


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
    masked = len(eligible) > 0
    rows, lows, highs = np.empty(_FIRST, np.int64), np.empty(_FIRST), np.empty(_FIRST)
    count = 0
    best = np.full(k, -np.inf)
    needed = floor[0]
    for i in range(start, stop):
        if (i - start) % _ROWS == 0:
            floor[0] = needed = max(floor[0], needed, best[0])
        if masked and not eligible[i]:
            continue
        middle = factor * np.float64(bounds[i, 0]) * _sum(codes, i, query, sums, known)
        margin = _margin(bounds, i, weights)
        if middle + margin < needed:
            continue
        if count == len(rows):
            count = _keep(rows, lows, highs, count, needed)
            if 2 * count > len(rows):
                rows, lows, highs = _doubled(rows), _doubled(lows), _doubled(highs)
        rows[count], lows[count], highs[count] = i, middle - margin, middle + margin
        count += 1
        if middle - margin > best[0]:
            _replace_least(best, middle - margin)
            needed = max(needed, best[0])
    floor[0] = needed = max(floor[0], needed)
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
    masked = len(eligible) > 0
    above = np.zeros(len(levels) + 1, np.int64)
    rows = np.empty(_FIRST, np.int64)
    count = 0
    for i in range(start, stop):
        if masked and not eligible[i]:
            continue
        middle = factor * np.float64(bounds[i, 0]) * _sum(codes, i, query, sums, known)
        margin = _margin(bounds, i, weights)
        if middle + margin < levels[0]:
            above[0] += 1
            continue
        first = _levels_below(levels, middle - margin)
        if first == len(levels) or levels[first] > middle + margin:
            above[first] += 1
            continue
        if count == len(rows):
            rows = _doubled(rows)
        rows[count] = i
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


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _sum(codes: NDArray[Any], i: int, query: NDArray[Any], sums: NDArray[Any], known: bool) -> float:
    """Return a row's inner product, from memory or for it."""
    if known:
        return np.float64(sums[i])
    total = _product(codes[i], query)
    if len(sums) > 0:
        sums[i] = np.int32(total)
    return total


@njit(cache=True, nogil=True, error_model="numpy")
def _product(code: NDArray[Any], query: NDArray[Any]) -> float:
    """Return the inner product of int8 and int16 numbers, which must fit into int32."""
    total = np.int32(0)
    for j in range(len(code)):
        # Narrowed at every step, the loop becomes multiply-add instructions on pairs of int16.
        total = np.int32(total + np.int32(code[j]) * np.int32(query[j]))
    return np.float64(total)


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


@njit(cache=True, nogil=True, inline="always")
def _margin(bounds: NDArray[Any], i: int, weights: NDArray[Any]) -> float:
    """Return how far a row's score can lie from that of its code."""
    error, size, rest = np.float64(bounds[i, 1]), np.float64(bounds[i, 2]), np.float64(bounds[i, 3])
    return error * weights[0] + size * weights[1] + rest * weights[2] + weights[3]


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
