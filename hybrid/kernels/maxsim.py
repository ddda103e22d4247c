"""Late interaction: for each query token the best of a document's tokens, summed (MaxSim).

A matrix product in float32 says nearly which token is best. Only tokens that its error bound cannot
exclude are compared in float64, so a score depends on the two texts alone: not on the library that
multiplies, on its threads, or on the documents that are scored together.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray


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
def maxsim(
    tokens: NDArray[Any],
    scales: NDArray[Any],
    products: NDArray[Any],
    bounds: NDArray[Any],
    query: NDArray[Any],
    errors: NDArray[Any],
    best: NDArray[Any],
) -> None:
    """Find each query token's best token in each document, and its exact inner product.

    ``tokens``: float32, shape (tokens, d); document n has the rows ``bounds[n]`` to ``bounds[n + 1]``,
    at least one. ``scales``: float32, shape (tokens,), by which a token's products count; shape (0,)
    for 1. ``products``: float32, shape (tokens, m), the inner products with the query's tokens, before
    the scales, each within ``errors`` (float64, shape (m,)) of the true one. ``query``: float64, shape
    (m, d). ``best``: float64, shape (documents, m), written.
    """
    m = len(query)
    scaled = len(scales) > 0
    low, values = np.empty(m), np.empty(tokens.shape[1])
    for n in range(len(bounds) - 1):
        low[:] = -np.inf
        for t in range(bounds[n], bounds[n + 1]):
            scale = np.float64(scales[t]) if scaled else 1.0
            for i in range(m):
                low[i] = max(low[i], scale * (np.float64(products[t, i]) - errors[i]))
        best[n] = -np.inf
        for t in range(bounds[n], bounds[n + 1]):
            scale = np.float64(scales[t]) if scaled else 1.0
            near = 0
            for i in range(m):
                near += scale * (np.float64(products[t, i]) + errors[i]) >= low[i]
            if near == 0:
                continue
            for i in range(m):
                if scale * (np.float64(products[t, i]) + errors[i]) >= low[i]:
                    best[n, i] = max(best[n, i], scale * _product(tokens[t], query[i], values))


@njit(cache=True, nogil=True, error_model="numpy")
def _product(token: NDArray[Any], query: NDArray[Any], values: NDArray[Any]) -> float:
    """Return an inner product in float64, added over the tree of `hybrid.kernels.inner`."""
    width = len(values)
    for j in range(width):
        values[j] = np.float64(token[j]) * query[j]
    while width > 1:
        half = width // 2
        rest = width - half
        for j in range(half):
            values[j] += values[rest + j]
        width = rest
    return values[0]
