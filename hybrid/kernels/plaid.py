"""Late interaction with centroids in the place of tokens (Santhanam et al. 2022, section 4.2)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hybrid.kernels.heap import push
from hybrid.kernels.tiles import LANES, reaches


@njit(cache=True, nogil=True, error_model="numpy")
def mark(
    products: NDArray[Any],
    count: int,
    probes: int,
    edges: NDArray[Any],
    documents: NDArray[Any],
    marked: NDArray[Any],
) -> None:
    """Mark the documents of the ``probes`` clusters that are best for each query token; the first of equals.

    ``products``: float32, shape (K, M), how near the query's tokens are to each centroid, of which the first
    ``count`` count; K is at least ``probes``. Cluster c has the ``documents`` from ``edges[c]`` to
    ``edges[c + 1]``. ``marked``: bool, shape (documents,).
    """
    scores, clusters = np.empty((count, probes), np.float32), np.empty((count, probes), np.int32)
    low = np.full(products.shape[1], np.inf, np.float32)
    for c in range(probes):
        for i in range(count):
            push(scores[i], clusters[i], c, products[c, i], c)
    low[:count] = scores[:, 0]
    for c in range(probes, len(products)):
        for first in range(0, products.shape[1], LANES):
            if reaches(products, c * products.shape[1] + first, low, first):
                for i in range(first, min(first + LANES, count)):
                    push(scores[i], clusters[i], probes, products[c, i], c)
                    low[i] = scores[i, 0]
    for i in range(count):
        for c in clusters[i]:
            for place in range(edges[c], edges[c + 1]):
                marked[documents[place]] = True


@njit(cache=True, nogil=True, error_model="numpy")
def interact(
    codes: NDArray[Any],
    bounds: NDArray[Any],
    documents: NDArray[Any],
    products: NDArray[Any],
    out: NDArray[Any],
) -> None:
    """Write Σ_i max_j s[c_j, i] of some documents, over the centroids c_j of their tokens.

    ``codes``: integers, shape (tokens,); document n has those from ``bounds[n]`` to ``bounds[n + 1]``.
    ``documents``: int64. ``products``: float32, shape (K, m), s. ``out``: float32, shape (documents,).
    """
    best = np.empty(products.shape[1], np.float32)
    for place in range(len(documents)):
        n = documents[place]
        best[:] = -np.inf
        for t in range(bounds[n], bounds[n + 1]):
            row = products[np.int64(codes[t])]
            for i in range(len(best)):
                best[i] = row[i] if row[i] > best[i] else best[i]
        total = np.float32(0)
        for i in range(len(best)):
            total += best[i]
        out[place] = total
