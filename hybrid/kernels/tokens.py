"""Token vectors on their way into an index and out of it: projected, assigned to centroids, packed, unpacked.

Sums run in float64 and in one order, so what is kept does not depend on threads or on the processor.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray


@njit(cache=True, nogil=True, error_model="numpy")
def project(vectors: NDArray[Any], columns: NDArray[Any], out: NDArray[Any]) -> None:
    """Write Σ_j x_j·columns_j for each row x, added in float64 in the order of j, rounded once.

    ``vectors``: float32, shape (n, d). ``columns``: float64, shape (d, p), C order. ``out``: float32, (n, p).
    """
    sums = np.empty(columns.shape[1])
    for t in range(len(vectors)):
        sums[:] = 0.0
        for j in range(len(columns)):
            value, column = np.float64(vectors[t, j]), columns[j]
            for i in range(len(sums)):
                sums[i] += value * column[i]
        for i in range(len(sums)):
            out[t, i] = np.float32(sums[i])


@njit(cache=True, nogil=True, error_model="numpy")
def nearest(
    vectors: NDArray[Any],
    centroids: NDArray[Any],
    halves: NDArray[Any],
    products: NDArray[Any],
    errors: NDArray[Any],
    out: NDArray[Any],
) -> None:
    """Write the number of the centroid c that is nearest to each vector x: max x·c - |c|²/2.

    Of equals it is the first. ``vectors``: float32, shape (n, d). ``centroids``: float32, shape (K, d).
    ``halves``: float64, shape (K,), |c|²/2. ``products``: float32, shape (n, K), x·c, each within
    ``errors`` (float64, shape (n,)) of what `_dot` gives. ``out``: shape (n,), written.
    """
    for t in range(len(vectors)):
        row = products[t]
        high = -np.inf
        for c in range(len(row)):
            value = np.float64(row[c]) - halves[c]
            high = value if value > high else high
        level = high - 2.0 * errors[t]
        count, first = 0, 0
        for c in range(len(row)):
            if np.float64(row[c]) - halves[c] >= level:
                count += 1
                first = c if count == 1 else first
        if count > 1:
            best = -np.inf
            for c in range(first, len(row)):
                if np.float64(row[c]) - halves[c] >= level:
                    value = _dot(vectors[t], centroids[c]) - halves[c]
                    if value > best:
                        best, first = value, c
        out[t] = first


@njit(cache=True, nogil=True, error_model="numpy")
def _dot(a: NDArray[Any], b: NDArray[Any]) -> float:
    total = 0.0
    for j in range(len(a)):
        total += np.float64(a[j]) * np.float64(b[j])
    return total


@njit(cache=True, nogil=True, error_model="numpy")
def means(vectors: NDArray[Any], owner: NDArray[Any], centroids: NDArray[Any]) -> None:
    """Set each centroid to the mean of its vectors; one without vectors stays.

    ``vectors``: float32, shape (n, d). ``owner``: integers, shape (n,). ``centroids``: float32, shape (K, d).
    """
    sums, counts = np.zeros(centroids.shape), np.zeros(len(centroids), np.int64)
    for t in range(len(vectors)):
        c = np.int64(owner[t])
        counts[c] += 1
        for j in range(vectors.shape[1]):
            sums[c, j] += np.float64(vectors[t, j])
    for c in range(len(centroids)):
        if counts[c] > 0:
            for j in range(centroids.shape[1]):
                centroids[c, j] = np.float32(sums[c, j] / counts[c])


@njit(cache=True, nogil=True, error_model="numpy")
def pack(
    vectors: NDArray[Any],
    codes: NDArray[Any],
    centroids: NDArray[Any],
    cutoffs: NDArray[Any],
    bits: int,
    out: NDArray[Any],
) -> None:
    """Write which step each number of each residual x - c falls on, ``bits`` bits each, low bits first.

    ``vectors``: float32, shape (n, d). ``codes``: integers, shape (n,). ``centroids``: float32, (K, d).
    ``cutoffs``: float32, shape (d, 2^bits - 1), ascending. ``out``: uint8, shape (n, ⌈d·bits / 8⌉).
    """
    each = 8 // bits
    for t in range(len(vectors)):
        centre, row = centroids[np.int64(codes[t])], out[t]
        row[:] = 0
        for j in range(vectors.shape[1]):
            rest, step = vectors[t, j] - centre[j], np.uint8(0)
            for k in range(cutoffs.shape[1]):
                step += np.uint8(rest > cutoffs[j, k])
            row[j // each] |= np.uint8(step << np.uint8(bits * (j % each)))


@njit(cache=True, nogil=True, error_model="numpy")
def unpack(
    packed: NDArray[Any], codes: NDArray[Any], centroids: NDArray[Any], table: NDArray[Any], out: NDArray[Any]
) -> None:
    """Write rows as centroid + level, a float32 sum for each number.

    ``packed``, ``codes``, ``centroids``: as in `pack`. ``table``: float32, shape (⌈d·bits / 8⌉, 256,
    8 / bits), the levels that each byte of a row stands for. ``out``: float32, shape (rows, d).
    """
    width, each = packed.shape[1], table.shape[2]
    levels = np.empty(width * each, np.float32)
    for t in range(len(packed)):
        row, centre, place = packed[t], centroids[np.int64(codes[t])], out[t]
        if each == 2:
            for k in range(width):
                levels[2 * k], levels[2 * k + 1] = table[k, row[k], 0], table[k, row[k], 1]
        else:
            for k in range(width):
                for n in range(4):
                    levels[4 * k + n] = table[k, row[k], n]
        for j in range(len(place)):
            place[j] = centre[j] + levels[j]


@njit(cache=True, nogil=True, error_model="numpy")
def widen_halves(bits: NDArray[Any], out: NDArray[Any]) -> None:
    """Write finite float16 numbers, given as their bits (uint16), as float32; both of shape (n,)."""
    whole = out.view(np.uint32)
    for j in range(len(bits)):
        whole[j] = ((np.uint32(bits[j]) & np.uint32(0x7FFF)) << np.uint32(13)) + np.uint32(112 << 23)
    for j in range(len(bits)):
        size = out[j]
        if size < np.float32(2.0**-14):  # the exponent was 0: the fraction counts steps of 2^-24
            size = np.float32(bits[j] & np.uint16(0x3FF)) * np.float32(2.0**-24)
        out[j] = -size if bits[j] >= np.uint16(0x8000) else size


@njit(cache=True, nogil=True, error_model="numpy")
def invert(codes: NDArray[Any], bounds: NDArray[Any], clusters: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return, for each cluster, the documents that have a token in it, ascending, as bounds and numbers.

    ``codes``: integers, shape (tokens,). ``bounds``: int64, shape (documents + 1,). The bounds returned are
    int64, shape (clusters + 1,); the documents int32.
    """
    last = np.full(clusters, -1, np.int64)
    found = np.zeros(clusters + 1, np.int64)
    for n in range(len(bounds) - 1):
        for t in range(bounds[n], bounds[n + 1]):
            c = np.int64(codes[t])
            if last[c] != n:
                last[c] = n
                found[c + 1] += 1
    for c in range(clusters):
        found[c + 1] += found[c]
    documents, place = np.empty(found[clusters], np.int32), found[:-1].copy()
    last[:] = -1
    for n in range(len(bounds) - 1):
        for t in range(bounds[n], bounds[n + 1]):
            c = np.int64(codes[t])
            if last[c] != n:
                last[c] = n
                documents[place[c]] = n
                place[c] += 1
    return found, documents
