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

from hybrid.kernels.steps import multiply_steps
from hybrid.kernels.tiles import LANES, multiply, multiply_bytes, peaks, reaches
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
        pick(tokens, _UNSCALED, products, wide, errors, best[n])


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
        pick(tokens, _UNSCALED, products, wide, errors, best[n])


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
        pick(tokens, scale, products, wide, errors * np.float64(scale.max()), best[n])


@njit(cache=True, nogil=True, error_model="numpy")
def compare_steps(
    packed: NDArray[Any],
    codes: NDArray[Any],
    scales: NDArray[Any],
    centroids: NDArray[Any],
    table: NDArray[Any],
    levels: NDArray[Any],
    starts: NDArray[Any],
    sizes: NDArray[Any],
    query: NDArray[Any],
    offsets: NDArray[Any],
    units: NDArray[Any],
    rests: NDArray[Any],
    near: NDArray[Any],
    wide: NDArray[Any],
    errors: NDArray[Any],
    best: NDArray[Any],
) -> None:
    """Do what `compare_residuals` does by products of bytes, where `hybrid.kernels.steps` has them.

    A token is nearly c + u·b: its centroid, what a step is worth, and bytes b, which ``levels`` has
    (`hybrid.kernels.steps.multiply_steps`). ``query``, ``offsets``, ``units``, ``rests``: as in
    `compare_bytes`, of q·u in the place of q. ``near``: float32, shape (K, M), q·c. ``errors``: float64,
    shape (m,), what else the sum of both products may be wrong by.
    """
    products, slack = _room(sizes, wide), np.empty(len(wide))
    room = np.empty((len(products), centroids.shape[1]), np.float32)
    factors = np.empty(len(products), np.float32)
    for n in range(len(sizes)):
        a, b = starts[n], starts[n] + sizes[n]
        scale = factors[: sizes[n]]
        widen_halves(scales[a:b], scale)
        longest = np.sqrt(np.float64(multiply_steps(packed[a:b], levels, query, offsets, products)))
        for t in range(len(scale)):
            row, centre = products[t], near[np.int64(codes[a + t])]
            for i in range(len(row)):
                row[i] = (row[i] * units[i] + centre[i]) * scale[t]
        for i in range(len(wide)):
            slack[i] = scale.max() * (errors[i] + rests[i] * longest)
        kept = (packed[a:b], codes[a:b], centroids, table)
        pick_packed(kept, scale, products, wide, slack, room, best[n])


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
        pick(kept, scales[a:b], products, wide, errors * np.float64(scales[a:b].max()), best[n])


@njit(cache=True, nogil=True, error_model="numpy")
def compare_bytes(
    values: NDArray[Any],
    scales: NDArray[Any],
    starts: NDArray[Any],
    sizes: NDArray[Any],
    query: NDArray[Any],
    offsets: NDArray[Any],
    units: NDArray[Any],
    rests: NDArray[Any],
    wide: NDArray[Any],
    best: NDArray[Any],
) -> None:
    """Do what `compare_widened` does by products of bytes, where the processor has them.

    ``query``, ``offsets``: int8 and int32, for `hybrid.kernels.tiles.multiply_bytes`: a query token q is
    nearly v·a, of bytes a. ``units``: float32, shape (M,), v. ``rests``: float64, shape (m,), |q - v·a| from
    above: so far is q·x from v·(a·x), for each unit of |x| (Cauchy and Schwarz).
    """
    products, room = _room(sizes, wide), np.empty((_most(sizes), values.shape[1]), np.uint8)
    slack = np.empty(len(wide))
    for n in range(len(sizes)):
        a, b = starts[n], starts[n] + sizes[n]
        tokens, kept = room[: sizes[n]], values[a:b]
        flip(kept.reshape(-1), tokens.reshape(-1))
        longest = _longest(kept, scales[a:b])
        multiply_bytes(tokens, query, offsets, products)
        for t in range(len(kept)):
            row, scale = products[t], scales[a + t]
            for i in range(len(row)):
                row[i] = row[i] * scale * units[i]
        for i in range(len(wide)):
            slack[i] = rests[i] * longest + units[i] * _LEAST
        pick(kept, scales[a:b], products, wide, slack, best[n])


@njit(cache=True, nogil=True, error_model="numpy")
def pick(
    tokens: NDArray[Any],
    scales: NDArray[Any],
    products: NDArray[Any],
    wide: NDArray[Any],
    slack: NDArray[Any],
    best: NDArray[Any],
) -> None:
    """Find the exact best product of each query token in one document.

    ``tokens``: shape (n, d), times ``scales``, shape (n,), or (0,) for 1. ``products``: float32, shape (at
    least n, M), nearly what each product is: within ``slack``, float64, shape (m,), apart from rounding of
    what stands there.
    """
    lanes = products.shape[1]
    high, second, row = np.empty(lanes, np.float32), np.empty(lanes, np.float32), np.empty(lanes, np.int32)
    peaks(products, len(tokens), high, second, row)
    values = np.empty(tokens.shape[1])
    for i in range(len(wide)):
        best[i] = _exact(tokens, scales, row[i], wide[i], values)
        low = _least(best[i], slack[i])
        if second[i] >= low:
            for t in range(len(tokens)):
                if products[t, i] >= low and t != row[i]:
                    best[i] = max(best[i], _exact(tokens, scales, t, wide[i], values))


@njit(cache=True, nogil=True, error_model="numpy")
def pick_packed(
    kept: Any,
    scales: NDArray[Any],
    products: NDArray[Any],
    wide: NDArray[Any],
    slack: NDArray[Any],
    room: NDArray[Any],
    best: NDArray[Any],
) -> None:
    """Do what `pick` does, decoding only tokens that may be the best of a query token.

    ``kept``: the arguments of `hybrid.kernels.tokens.unpack` but the last. ``room``: float32, shape (at
    least n, d), written.
    """
    count, lanes = len(kept[0]), products.shape[1]
    done, values = np.zeros(count, np.bool_), np.empty(room.shape[1])
    high, low, row = np.empty(lanes, np.float32), np.empty(lanes, np.float32), np.empty(lanes, np.int32)
    peaks(products, count, high, low, row)
    low[:] = np.inf
    for i in range(len(wide)):
        _decode(kept, row[i], done, room)
        best[i] = _exact(room, scales, row[i], wide[i], values)
        low[i] = _least(best[i], slack[i])
    for t in range(count):
        for first in range(0, lanes, LANES):
            if reaches(products, t * lanes + first, low, first):
                for i in range(first, min(first + LANES, len(wide))):
                    if products[t, i] >= low[i] and t != row[i]:
                        _decode(kept, t, done, room)
                        best[i] = max(best[i], _exact(room, scales, t, wide[i], values))


@njit(cache=True, nogil=True, error_model="numpy")
def _decode(kept: Any, t: int, done: NDArray[Any], room: NDArray[Any]) -> None:
    """Decode a token, if it is not done."""
    if not done[t]:
        packed, codes, centroids, table = kept
        unpack(packed[t : t + 1], codes[t : t + 1], centroids, table, room[t : t + 1])
        done[t] = True


@njit(cache=True, nogil=True, error_model="numpy")
def _least(found: float, slack: float) -> float:
    """Return the least that a product above the one found can have come out as."""
    return found - slack * (1.0 + _NEARLY) - _NEARLY * abs(found) - _LEAST


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
