"""What documents score: sparse inner products over one window of postings in blocks.

The score of a document is a sum over the query's terms, in the query's order, in float64, rounded
to float32 once. A term adds ``factor · s(value, length) + constant``, where s is the formula's
saturation, (v + p₀ + p₁·l) / (v + q₀ + q₁·l) for BM25 and v itself for learned weights; absent terms add
nothing. Every function here computes that by the same operations, so all agree to the bit.

Arrays of a segment: ``docs`` and ``values`` as in `hybrid.kernels.blocks`, ``values`` holding counts, the
bits of float16 weights, or their codes (`hybrid.kernels.codes`); ``lengths`` int32, shape (F, documents);
``mask`` bool, one per document, empty for all.

Of a query: ``factors`` and ``constants``, float64, one per term; ``ceilings``: float64, shape (256,), what s
is at most at each level, in units of which ``tops`` (float64, one per term) says what they are worth;
``form``: float64, shape (5,): whether values are learned weights (1 or 0), p₀, p₁, q₀, q₁; ``fields``:
float64, what each field counts, empty for one field that counts 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hybrid.kernels.blocks import WIDTH
from hybrid.kernels.codes import FIRST, FRACTION

SLACK = 1 + 1e-6
"""More than float64 sums and one rounding to float32 can add to a bound."""

FEW = 32
"""Up to so many postings, a block's sums are looked at one by one, not all 256 (16 and 64 do as well)."""


@njit(cache=True, nogil=True, inline="always")
def _weight(values: NDArray[Any], at: int) -> float:
    """Return a learned weight, exactly: the float16 that has these bits, or this code's."""
    bits = np.uint32(values[0, at])
    if values.itemsize == 1:  # known when it is compiled
        bits = np.uint32(bits << np.uint32(FRACTION)) + np.uint32(FIRST)
    return np.float64(np.uint32(np.uint32(bits) << np.uint32(13)).view(np.float32)) * 2.0**112


@njit(cache=True, nogil=True, error_model="numpy")
def added(
    at: int,
    doc: int,
    values: NDArray[Any],
    lengths: NDArray[Any],
    fields: NDArray[Any],
    form: NDArray[Any],
    factor: float,
    constant: float,
) -> float:
    """Return what a posting adds; -1 if it occurs only in fields that do not count."""
    if form[0] > 0:
        return factor * _weight(values, at)
    value, length = 0.0, 0.0
    if len(fields) == 0:
        value, length = np.float64(values[0, at]), np.float64(lengths[0, doc])
    for field in range(len(fields)):
        value += fields[field] * np.float64(values[field, at])
        length += fields[field] * np.float64(lengths[field, doc])
    if value == 0:
        return -1.0
    s = (value + (form[1] + form[2] * length)) / (value + (form[3] + form[4] * length))
    return factor * s + constant


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _add_block(
    place: int,
    base: int,
    docs: NDArray[Any],
    values: NDArray[Any],
    lengths: NDArray[Any],
    fields: NDArray[Any],
    form: NDArray[Any],
    factor: float,
    constant: float,
    sums: NDArray[Any],
) -> None:
    """Add one block to the sums of its window: float64, shape (256,)."""
    start = place >> 9
    stop = start + (place & 511)
    if form[0] > 0:
        for at in range(start, stop):
            sums[docs[at]] += factor * _weight(values, at)
    elif len(fields) == 0:
        p0, p1, q0, q1 = form[1], form[2], form[3], form[4]
        if p0 == 0 and p1 == 0 and constant == 0:  # as below, without what changes no bit
            for at in range(start, stop):
                value, length = np.float64(values[0, at]), np.float64(lengths[0, base + docs[at]])
                sums[docs[at]] += factor * (value / (value + (q0 + q1 * length)))
            return
        for at in range(start, stop):
            value, length = np.float64(values[0, at]), np.float64(lengths[0, base + docs[at]])
            s = (value + (p0 + p1 * length)) / (value + (q0 + q1 * length))
            sums[docs[at]] += factor * s + constant
    else:
        for at in range(start, stop):
            value = added(at, base + docs[at], values, lengths, fields, form, factor, constant)
            sums[docs[at]] += max(value, 0.0)


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def score_window(
    places: NDArray[Any],
    base: int,
    docs: NDArray[Any],
    values: NDArray[Any],
    lengths: NDArray[Any],
    fields: NDArray[Any],
    form: NDArray[Any],
    factors: NDArray[Any],
    constants: NDArray[Any],
    left: NDArray[Any],
    needed: float,
    sums: NDArray[Any],
) -> bool:
    """Score a window into ``sums``; return False as soon as none of it can reach ``needed``.

    ``left``: float64, what the terms after each one can add at most.
    """
    bits = sums.view(np.int64)  # floats from 0 up compare like their bits, which is faster
    sums[:] = 0.0
    most = np.int64(-1)  # the greatest sum so far, -1 as long as it is not asked for
    for term in range(len(places)):
        if places[term] == 0:
            continue
        _add_block(
            places[term], base, docs, values, lengths, fields, form, factors[term], constants[term], sums
        )
        missing = needed / SLACK - left[term]
        if missing > 0:
            most = _greatest(most, places[term], docs, bits)
            if most < np.float64(missing).view(np.int64):
                return False
    return True


@njit(cache=True, nogil=True, inline="always")
def _greatest(most: int, place: int, docs: NDArray[Any], bits: NDArray[Any]) -> int:
    """Return the greatest of a window's sums after a block was added; ``most``: before it, -1 if unknown.

    Sums only grow, so a known one need only be compared with those of the block's documents.
    """
    size = place & 511
    if most < 0 or size > FEW:
        most = np.int64(0)
        for i in range(WIDTH):
            most = max(most, bits[i])
        return most
    start = place >> 9
    for at in range(start, start + size):
        most = max(most, bits[docs[at]])
    return most


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def leave(
    level: NDArray[Any],
    tops: NDArray[Any],
    constants: NDArray[Any],
    ceilings: NDArray[Any],
    left: NDArray[Any],
) -> None:
    """Write what the terms after each one can add to a window's documents at most."""
    rest = 0.0
    for term in range(len(level) - 1, -1, -1):
        left[term] = rest
        if level[term]:
            rest += tops[term] * ceilings[level[term]] + constants[term]


@njit(cache=True, nogil=True, error_model="numpy")
def find(place: int, low: int, docs: NDArray[Any]) -> int:
    """Return where a document's posting stands in a block, whose documents ascend, or -1."""
    start = place >> 9
    end = stop = start + (place & 511)
    while start < stop:
        middle = (start + stop) >> 1
        if docs[middle] < low:
            start = middle + 1
        else:
            stop = middle
    return start if start < end and docs[start] == low else -1
