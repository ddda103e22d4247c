"""Late interaction with centroids in the place of tokens (Santhanam et al. 2022, section 4.2)."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic
from numpy.typing import NDArray

from hybrid.kernels.heap import push
from hybrid.kernels.tiles import LANES, Tile, reaches

_F32 = ir.FloatType()


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

    ``codes``: uint16, shape (tokens,); document n has those from ``bounds[n]`` to ``bounds[n + 1]``, at least
    one. ``documents``: int64. ``products``: float32, shape (K, M), C order, s, with 0 from the query's last
    token on; M is a multiple of 8. ``out``: float32, shape (documents,).
    """
    lanes = products.shape[1]
    best = np.empty(lanes, np.float32)
    for place in range(len(documents)):
        first = bounds[documents[place]]
        count = bounds[documents[place] + 1] - first
        i = 0
        while lanes - i >= 32:
            _best_32(codes, first, count, products, i, best)
            i += 32
        while lanes - i >= 8:
            _best_8(codes, first, count, products, i, best)
            i += 8
        total = np.float32(0)
        for i in range(lanes):
            total += best[i]
        out[place] = total


def _best(width: int) -> Any:
    """Return the code that finds the best of some centroids for ``width`` of the query's tokens."""

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        _, first, count, _, at, _ = given
        tile = Tile(context, builder, signature, given, width)
        lanes, lowest = tile.columns(3), ir.Constant(ir.VectorType(_F32, width), [float("-inf")] * width)

        def step(t: Any, values: list[Any]) -> list[Any]:
            code = builder.zext(builder.load(tile.address(0, builder.add(first, t))), ir.IntType(64))
            value = tile.vector(tile.address(3, builder.add(builder.mul(code, lanes), at)), _F32)
            return [builder.select(builder.fcmp_ordered(">", value, values[0]), value, values[0])]

        found = tile.loop(count, [lowest], step)[0]
        builder.store(found, builder.bitcast(tile.address(5, at), found.type.as_pointer()), align=4)
        return context.get_dummy_value()

    @intrinsic
    def best(_context: Any, codes: Any, first: Any, count: Any, products: Any, at: Any, out: Any) -> Any:
        return types.void(codes, types.intp, types.intp, products, types.intp, out), generate

    return best


_best_32, _best_8 = _best(32), _best(8)
