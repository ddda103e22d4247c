"""Late interaction with centroids in the place of tokens (Santhanam et al. 2022, section 4.2)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray


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
