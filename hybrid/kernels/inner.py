"""Inner products whose value depends on the two vectors alone.

Matrix products of BLAS libraries add in an order that depends on the shape of the batch, the
number of threads and the processor, so their last bits do too. Here sums run in float64 over one
fixed tree, by element-wise operations only, which IEEE 754 defines to the bit.
"""

from __future__ import annotations

import numpy as np

from hybrid.types import Doubles, Floats

_CHUNK = 1 << 17
"""How many products are held at a time (1 MiB of float64: about a processor's own cache)."""

_UNIT = 2.0**-24
"""Half the distance from 1 to the next float32: the relative error of one operation."""

_TINY = 2.0**-125
"""More than one operation can lose where results are subnormal, even if those are flushed to zero."""


def inner_products(vectors: Floats, query: Floats, scales: Floats | None = None) -> Floats:
    """Return the inner product of each row with the query: float32, shape (n,); never -0.

    Products of float32 values are exact in float64; they are added there and rounded once.
    ``vectors``: float32, shape (n, d); ``query``: float32, shape (d,). ``scales``: float32, shape
    (n,), by which each sum is multiplied before it is rounded.

    >>> inner_products(np.float32([[1, 2], [3, 4]]), np.float32([10, 1])).tolist()
    [12.0, 34.0]
    """
    wide = query.astype(np.float64)
    result = np.empty(len(vectors), np.float32)
    step = max(1, _CHUNK // max(1, len(query)))
    for start in range(0, len(vectors), step):
        sums = row_sums(vectors[start : start + step] * wide)
        if scales is not None:
            sums = sums * scales[start : start + step]
        result[start : start + step] = sums
    result += np.float32(0.0)  # -0 + 0 is 0
    return result


def row_lengths(vectors: Floats) -> Doubles:
    """Return the Euclidean length of each row: float64, shape (n,); not finite if a value is not."""
    result = np.empty(len(vectors), np.float64)
    step = max(1, _CHUNK // max(1, vectors.shape[1]))
    for start in range(0, len(vectors), step):
        wide = vectors[start : start + step].astype(np.float64)
        result[start : start + step] = np.sqrt(row_sums(np.multiply(wide, wide, out=wide)))
    return result


def float32_error(dimension: int, query_length: float, longest: float) -> float:
    """Bound how far any float32 inner product lies from what `inner_products` returns.

    However d products are ordered, grouped or fused with their additions, the result is within
    γ = d·u / (1 - d·u) of the true value, relative to Σ|q_i·x_i| ≤ |q|·|x|, where u = 2^-24
    (Higham 2002, *Accuracy and Stability of Numerical Algorithms*, section 3.1). `inner_products`
    itself rounds to float32, which adds one u, and errs in float64 by far less than another. What
    is lost to subnormal numbers is not relative and is added apart.
    """
    gamma = (dimension + 2) * _UNIT / (1 - (dimension + 2) * _UNIT)
    lost = 2 * dimension * _TINY * (1 + query_length + longest)
    return gamma * query_length * longest * (1 + 1e-9) + lost


def row_sums(values: Doubles) -> Doubles:
    """Return the sum of each row; overwrites ``values``.

    The last half of what is left is added to the first, until one column is left.
    """
    width = values.shape[1]
    while width > 1:
        half = width // 2
        values[:, :half] += values[:, width - half : width]
        width -= half
    return values[:, 0]
