"""Late interaction: for each query token the best of a document's tokens, summed (MaxSim).

Products in float32, in whatever order is fastest, say nearly which token is best. Only tokens that
their error bound cannot exclude are compared in float64, so a score depends on the two texts alone: not
on the processor, on threads, or on the documents that are scored together. A document's products stay in
the processor's cache: they are made, looked through and forgotten, document after document.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

LANES = 4
"""The query is filled up to a multiple of so many tokens."""

_FREE = {"contract", "reassoc", "nsz"}
"""Float32 products may be added in any order, and fused with their additions; the error bound covers that."""


@njit(cache=True, nogil=True, error_model="numpy")
def gather(values: NDArray[Any], starts: NDArray[Any], sizes: NDArray[Any], out: NDArray[Any]) -> None:
    """Copy runs of rows, put end to end, into ``out``, as float32.

    ``values``: int8 or float32, shape (tokens, d), C order. ``starts``, ``sizes``: int64, the runs.
    ``out``: float32, shape (sum of the sizes, d), C order.
    """
    dimension = values.shape[1]
    source, target = values.reshape(-1), out.reshape(-1)
    at = 0
    for n in range(len(starts)):
        first, count = starts[n] * dimension, sizes[n] * dimension
        run, place = source[first : first + count], target[at : at + count]
        for j in range(count):
            place[j] = np.float32(run[j])
        at += count


@njit(cache=True, nogil=True, error_model="numpy")
def gather_halves(bits: NDArray[Any], starts: NDArray[Any], sizes: NDArray[Any], out: NDArray[Any]) -> None:
    """Copy runs of finite float16 rows, given as their bits (uint16), as `gather` does."""
    dimension = bits.shape[1]
    source, target = bits.reshape(-1), out.reshape(-1)
    whole = target.view(np.uint32)
    at = 0
    for n in range(len(starts)):
        first, count = starts[n] * dimension, sizes[n] * dimension
        run, made, place = source[first : first + count], whole[at : at + count], target[at : at + count]
        for j in range(count):
            made[j] = ((np.uint32(run[j]) & np.uint32(0x7FFF)) << np.uint32(13)) + np.uint32(112 << 23)
        for j in range(count):
            size = place[j]
            if size < np.float32(2.0**-14):  # the exponent was 0: the fraction counts steps of 2^-24
                size = np.float32(run[j] & np.uint16(0x3FF)) * np.float32(2.0**-24)
            place[j] = -size if run[j] >= np.uint16(0x8000) else size
        at += count


@njit(cache=True, nogil=True, error_model="numpy")
def maxsim(
    tokens: NDArray[Any],
    scales: NDArray[Any],
    starts: NDArray[Any],
    sizes: NDArray[Any],
    query: NDArray[Any],
    wide: NDArray[Any],
    errors: NDArray[Any],
    best: NDArray[Any],
) -> None:
    """Find the exact inner product of each query token with its best token in each document.

    ``tokens``: float32, shape (tokens, d), C order; document n has the rows ``starts[n]`` to ``starts[n] +
    sizes[n]``, at least one. ``scales``: float32, shape (tokens,), at least 0, by which a token's products
    count; shape (0,) for 1. ``query``: float32, shape (M, d), filled up with zeros from m tokens to a
    multiple of `LANES`; ``wide``: the m tokens in float64. ``errors``: float64, shape (m,), how far a
    float32 product may be from the true one (`hybrid.kernels.inner.float32_error`). ``best``: float64,
    shape (documents, m), written.
    """
    longest = 0
    for n in range(len(sizes)):
        longest = max(longest, sizes[n])
    products = np.empty((longest, len(query)), np.float32)
    for n in range(len(sizes)):
        a, b = starts[n], starts[n] + sizes[n]
        multiply(tokens[a:b], query, products)
        pick(tokens[a:b], scales[a:b], products, wide, errors, best[n])


@njit(cache=True, nogil=True, error_model="numpy")
def pick(
    tokens: NDArray[Any],
    scales: NDArray[Any],
    products: NDArray[Any],
    wide: NDArray[Any],
    errors: NDArray[Any],
    best: NDArray[Any],
) -> None:
    """Find what `maxsim` finds, in one document, from products that are within ``errors`` of the true ones.

    ``products``: float32, shape (at least the document's tokens, at least m); overwritten.
    """
    m = len(wide)
    values, low = np.empty(tokens.shape[1]), np.empty(m, np.float32)
    largest = _scale(products, scales) if len(scales) > 0 else 1.0
    low[:] = -np.inf
    for t in range(len(tokens)):
        row = products[t]
        for i in range(m):
            low[i] = row[i] if row[i] > low[i] else low[i]
    for i in range(m):  # three times: its own error, the best one's, and rounding of scales and of this
        slack = 3.0 * largest * errors[i]
        low[i] = np.float32(np.float64(low[i]) - slack - 2.0**-22 * abs(np.float64(low[i])))
        best[i] = -np.inf
    for t in range(len(tokens)):
        row = products[t]
        near = 0
        for i in range(m):
            near += row[i] >= low[i]
        if near == 0:
            continue
        scale = np.float64(scales[t]) if len(scales) > 0 else 1.0
        for i in range(m):
            if row[i] >= low[i]:
                best[i] = max(best[i], scale * _product(tokens[t], wide[i], values))


@njit(cache=True, nogil=True, error_model="numpy")
def _scale(products: NDArray[Any], scales: NDArray[Any]) -> float:
    """Multiply rows by their scales; return the largest scale."""
    largest = 0.0
    for t in range(len(scales)):
        row, scale = products[t], scales[t]
        largest = max(largest, np.float64(scale))
        for i in range(len(row)):
            row[i] *= scale
    return largest


@njit(cache=True, nogil=True, error_model="numpy")
def _product(token: NDArray[Any], query: NDArray[Any], values: NDArray[Any]) -> float:
    """Return an inner product in float64, added over the tree of `hybrid.kernels.inner`."""
    width = len(values)
    if width % 8 == 0:  # the products and the tree's first three levels
        width = e = width // 8
        for j in range(e):
            a = np.float64(token[j]) * query[j]
            a += np.float64(token[j + 4 * e]) * query[j + 4 * e]
            b = np.float64(token[j + e]) * query[j + e]
            b += np.float64(token[j + 5 * e]) * query[j + 5 * e]
            c = np.float64(token[j + 2 * e]) * query[j + 2 * e]
            c += np.float64(token[j + 6 * e]) * query[j + 6 * e]
            d = np.float64(token[j + 3 * e]) * query[j + 3 * e]
            d += np.float64(token[j + 7 * e]) * query[j + 7 * e]
            values[j] = (a + c) + (b + d)
    else:
        for j in range(width):
            values[j] = np.float64(token[j]) * query[j]
    while width > 1:
        half = width // 2
        rest = width - half
        for j in range(half):
            values[j] += values[rest + j]
        width = rest
    return values[0]


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_FREE)
def multiply(tokens: NDArray[Any], query: NDArray[Any], out: NDArray[Any]) -> None:
    """Write the inner products of all tokens with the query's, in float32, into ``out``.

    ``tokens``: float32, shape (n, d). ``query``: float32, shape (M, d), M a multiple of `LANES`. ``out``:
    float32, shape (at least n, M). Four tokens are taken with four of the query's: sixteen sums, which stay
    in registers.
    """
    count = len(tokens)
    for t in range(0, count, 4):
        # behind the last token, the last again
        t1, t2, t3 = min(t + 1, count - 1), min(t + 2, count - 1), min(t + 3, count - 1)
        x0, x1, x2, x3 = tokens[t], tokens[t1], tokens[t2], tokens[t3]
        for i in range(0, len(query), 4):
            y0, y1, y2, y3 = query[i], query[i + 1], query[i + 2], query[i + 3]
            a0 = a1 = a2 = a3 = b0 = b1 = b2 = b3 = np.float32(0)
            c0 = c1 = c2 = c3 = d0 = d1 = d2 = d3 = np.float32(0)
            for j in range(tokens.shape[1]):
                u, v, w, z = x0[j], x1[j], x2[j], x3[j]
                y = y0[j]
                a0, b0, c0, d0 = a0 + u * y, b0 + v * y, c0 + w * y, d0 + z * y
                y = y1[j]
                a1, b1, c1, d1 = a1 + u * y, b1 + v * y, c1 + w * y, d1 + z * y
                y = y2[j]
                a2, b2, c2, d2 = a2 + u * y, b2 + v * y, c2 + w * y, d2 + z * y
                y = y3[j]
                a3, b3, c3, d3 = a3 + u * y, b3 + v * y, c3 + w * y, d3 + z * y
            out[t, i], out[t, i + 1], out[t, i + 2], out[t, i + 3] = a0, a1, a2, a3
            out[t1, i], out[t1, i + 1], out[t1, i + 2], out[t1, i + 3] = b0, b1, b2, b3
            out[t2, i], out[t2, i + 1], out[t2, i + 2], out[t2, i + 3] = c0, c1, c2, c3
            out[t3, i], out[t3, i + 1], out[t3, i + 2], out[t3, i + 3] = d0, d1, d2, d3
