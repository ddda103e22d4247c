"""Late interaction: for each query token the best of a document's tokens, summed (MaxSim).

Products in float32, or of bytes, say nearly which token is best. Only tokens that their error bound cannot
exclude are compared in float64, so a score depends on the two texts alone: not on the processor, on threads,
or on the documents that are scored together. A document is decoded, multiplied and looked through while it
is in the processor's cache, document after document.

What all functions here share: ``starts``, ``sizes``: int64, document n has the rows ``starts[n]`` to
``starts[n] + sizes[n]``, at least one. ``query``: m tokens, filled up to M, in float32, as
`hybrid.kernels.tiles.arranged`; ``wide``: the m tokens in float64, shape (m, d). ``errors``: float64, shape
(m,), how far a float32 product with any row may be from the true one
(`hybrid.kernels.inner.float32_error`). ``best``: float64, shape (documents, m), written: the exact inner
product of each query token with its best token in each document.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hybrid.kernels.tiles import multiply, multiply_bytes, peaks
from hybrid.kernels.tokens import unpack, widen_halves
from hybrid.kernels.trees import tree_product

_NEARLY = 2.0**-20
"""More than rounding of products, scales and levels to float32 can change them, relatively."""

_LEAST = 2.0**-140
"""More than rounding can change a subnormal number."""

_UNSCALED = np.empty(0, np.float32)


@njit(cache=True, nogil=True, error_model="numpy")
def compare_floats(
    values: NDArray[Any],
    starts: NDArray[Any],
    sizes: NDArray[Any],
    query: NDArray[Any],
    wide: NDArray[Any],
    errors: NDArray[Any],
    best: NDArray[Any],
) -> None:
    """Compare tokens kept as float32: ``values``, shape (tokens, d), C order."""
    products = _room(sizes, wide)
    for n in range(len(sizes)):
        tokens = values[starts[n] : starts[n] + sizes[n]]
        multiply(tokens, query, products)
        pick(tokens, _UNSCALED, products, wide, errors, 2.0, best[n])


@njit(cache=True, nogil=True, error_model="numpy")
def compare_halves(
    bits: NDArray[Any],
    starts: NDArray[Any],
    sizes: NDArray[Any],
    query: NDArray[Any],
    wide: NDArray[Any],
    errors: NDArray[Any],
    best: NDArray[Any],
) -> None:
    """Compare tokens kept as float16, all finite: ``bits``, uint16, shape (tokens, d), C order."""
    products, room = _room(sizes, wide), np.empty((_most(sizes), bits.shape[1]), np.float32)
    for n in range(len(sizes)):
        tokens = room[: sizes[n]]
        widen_halves(bits[starts[n] : starts[n] + sizes[n]].reshape(-1), tokens.reshape(-1))
        multiply(tokens, query, products)
        pick(tokens, _UNSCALED, products, wide, errors, 2.0, best[n])


@njit(cache=True, nogil=True, error_model="numpy")
def compare_residuals(
    packed: NDArray[Any],
    codes: NDArray[Any],
    scales: NDArray[Any],
    centroids: NDArray[Any],
    table: NDArray[Any],
    starts: NDArray[Any],
    sizes: NDArray[Any],
    query: NDArray[Any],
    wide: NDArray[Any],
    errors: NDArray[Any],
    best: NDArray[Any],
) -> None:
    """Compare tokens kept as residuals; see `hybrid.kernels.tokens.unpack`. ``scales``: bits of float16."""
    products, room = _room(sizes, wide), np.empty((_most(sizes), centroids.shape[1]), np.float32)
    factors = np.empty(len(room), np.float32)
    for n in range(len(sizes)):
        a, b = starts[n], starts[n] + sizes[n]
        tokens, scale = room[: sizes[n]], factors[: sizes[n]]
        unpack(packed[a:b], codes[a:b], centroids, table, tokens)
        widen_halves(scales[a:b], scale)
        multiply(tokens, query, products)
        scaled(products, scale)
        pick(tokens, scale, products, wide, errors, 2.0 * scale.max(), best[n])


@njit(cache=True, nogil=True, error_model="numpy")
def compare_widened(
    values: NDArray[Any],
    scales: NDArray[Any],
    starts: NDArray[Any],
    sizes: NDArray[Any],
    query: NDArray[Any],
    wide: NDArray[Any],
    errors: NDArray[Any],
    best: NDArray[Any],
) -> None:
    """Compare tokens kept as int8, shape (tokens, d), times ``scales``, float32, by float32 products."""
    products, room = _room(sizes, wide), np.empty((_most(sizes), values.shape[1]), np.float32)
    for n in range(len(sizes)):
        a, b = starts[n], starts[n] + sizes[n]
        tokens, kept = room[: sizes[n]], values[a:b]
        for t in range(len(tokens)):
            for j in range(tokens.shape[1]):
                tokens[t, j] = np.float32(kept[t, j])
        multiply(tokens, query, products)
        scaled(products, scales[a:b])
        pick(kept, scales[a:b], products, wide, errors, 2.0 * scales[a:b].max(), best[n])


@njit(cache=True, nogil=True, error_model="numpy")
def compare_bytes(
    values: NDArray[Any],
    scales: NDArray[Any],
    starts: NDArray[Any],
    sizes: NDArray[Any],
    query: NDArray[Any],
    offsets: NDArray[Any],
    rests: NDArray[Any],
    wide: NDArray[Any],
    best: NDArray[Any],
) -> None:
    """Do what `compare_widened` does by products of bytes, where the processor has them.

    ``query``, ``offsets``: int8 and int32, for `hybrid.kernels.tiles.multiply_bytes`: a query token q is
    nearly s·c, of bytes c. ``rests``: float64, shape (m,), |q - s·c| / s, from above: so far is q·x / s from
    c·x, for each unit of |x| (Cauchy and Schwarz).
    """
    products, room = _room(sizes, wide), np.empty((_most(sizes), values.shape[1]), np.uint8)
    for n in range(len(sizes)):
        a, b = starts[n], starts[n] + sizes[n]
        tokens, kept = room[: sizes[n]], values[a:b]
        flip(kept.reshape(-1), tokens.reshape(-1))
        longest = _longest(kept, scales[a:b])
        multiply_bytes(tokens, query, offsets, products)
        scaled(products, scales[a:b])
        pick(kept, scales[a:b], products, wide, rests, 2.0 * longest, best[n])


@njit(cache=True, nogil=True, error_model="numpy")
def pick(
    tokens: NDArray[Any],
    scales: NDArray[Any],
    products: NDArray[Any],
    wide: NDArray[Any],
    errors: NDArray[Any],
    reach: float,
    best: NDArray[Any],
) -> None:
    """Find the exact best product of each query token in one document.

    ``tokens``: shape (n, d), times ``scales``, shape (n,), or (0,) for 1. ``products``: float32, shape (at
    least n, M), nearly what each product is, or a positive multiple of it for each query token: of two
    tokens the one that is truly better lies at most by ``slack`` (float64, shape (m,)) behind, apart from
    rounding of what stands there.
    """
    lanes = products.shape[1]
    high, second, row = np.empty(lanes, np.float32), np.empty(lanes, np.float32), np.empty(lanes, np.int32)
    peaks(products, len(tokens), high, second, row)
    values = np.empty(tokens.shape[1])
    for i in range(len(wide)):
        top = np.float64(high[i])
        low = top - reach * errors[i] * (1.0 + _NEARLY) - _NEARLY * abs(top) - _LEAST
        best[i] = _exact(tokens, scales, row[i], wide[i], values)
        if second[i] >= low:
            for t in range(len(tokens)):
                if products[t, i] >= low and t != row[i]:
                    best[i] = max(best[i], _exact(tokens, scales, t, wide[i], values))


@njit(cache=True, nogil=True, error_model="numpy")
def _exact(
    tokens: NDArray[Any], scales: NDArray[Any], t: int, query: NDArray[Any], values: NDArray[Any]
) -> float:
    """Return the exact product of a token."""
    scale = np.float64(scales[t]) if len(scales) > 0 else 1.0
    return scale * tree_product(tokens[t], query, values)


@njit(cache=True, nogil=True, error_model="numpy")
def scaled(products: NDArray[Any], scales: NDArray[Any]) -> None:
    """Multiply the first rows by their scales."""
    for t in range(len(scales)):
        row = products[t]
        for i in range(len(row)):
            row[i] *= scales[t]


@njit(cache=True, nogil=True, error_model="numpy")
def flip(codes: NDArray[Any], out: NDArray[Any]) -> None:
    """Write each int8 number and 128, as uint8; both of shape (n,)."""
    for j in range(len(codes)):
        out[j] = np.uint8(codes[j]) ^ np.uint8(128)


@njit(cache=True, nogil=True, error_model="numpy")
def _longest(codes: NDArray[Any], scales: NDArray[Any]) -> float:
    """Return the Euclidean length of the longest token."""
    longest = 0.0
    for t in range(len(codes)):
        total, code = np.int32(0), codes[t]
        for j in range(len(code)):
            total = np.int32(total + np.int32(code[j]) * np.int32(code[j]))
        longest = max(longest, np.float64(scales[t]) * np.sqrt(np.float64(total)))
    return longest


@njit(cache=True, nogil=True, error_model="numpy")
def _most(sizes: NDArray[Any]) -> int:
    most = 0
    for n in range(len(sizes)):
        most = max(most, sizes[n])
    return most


@njit(cache=True, nogil=True, error_model="numpy")
def _room(sizes: NDArray[Any], wide: NDArray[Any]) -> NDArray[Any]:
    """Return room for the products of the longest document."""
    return np.empty((_most(sizes), (len(wide) + 7) // 8 * 8), np.float32)
