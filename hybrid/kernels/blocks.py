"""Postings in blocks: how they are packed, and how they are unpacked.

The documents of a segment are cut into *windows* of 256. A term's postings that lie in one window
form a *block*, which is described by four bytes: the number of its window (uint16), how many
postings it has, less one (uint8), and a *level* (uint8, 1 to 255) that bounds what its postings are
worth. A posting is the low byte of its document's ordinal, and its value. So a segment can hold
2^24 documents, and all blocks of a term can be bounded without reading its postings.

Arrays in the order of terms, and of documents in each term:

``windows`` uint16, ``sizes`` uint8, ``levels`` uint8, one per block; ``docs`` uint8, shape
(postings,), and ``values``, shape (F, postings). ``blocks`` and ``starts``, shape (terms + 1,), say
where each term's blocks and postings begin.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

WIDTH = 256
"""Documents in a window."""

SHIFT = 8
MOST_DOCUMENTS = 1 << 24
"""Documents in a segment: as many as the window numbers can tell apart."""


@njit(cache=True, nogil=True, error_model="numpy")
def pack(
    starts: NDArray[Any], docs: NDArray[Any], worth: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return ``blocks`` (int64), ``windows``, ``sizes`` and ``levels`` of postings.

    ``starts``: int64, shape (terms + 1,). ``docs``: int32, shape (postings,), ascending in each
    term. ``worth``: uint8, shape (postings,); a block's level is the highest of its postings'.
    """
    terms = len(starts) - 1
    blocks = np.zeros(terms + 1, np.int64)
    for term in range(terms):
        count, before = 0, -1
        for at in range(starts[term], starts[term + 1]):
            window = docs[at] >> SHIFT
            if window != before:
                count += 1
                before = window
        blocks[term + 1] = blocks[term] + count
    windows = np.empty(blocks[terms], np.uint16)
    sizes = np.empty(blocks[terms], np.uint8)
    levels = np.empty(blocks[terms], np.uint8)
    block = -1
    for term in range(terms):
        before = -1
        for at in range(starts[term], starts[term + 1]):
            window = docs[at] >> SHIFT
            if window != before:
                block += 1
                before = window
                windows[block] = window
                sizes[block] = 0
                levels[block] = worth[at]
            else:
                sizes[block] += 1
                levels[block] = max(levels[block], worth[at])
    return blocks, windows, sizes, levels


@njit(cache=True, nogil=True, error_model="numpy")
def unpack(windows: NDArray[Any], sizes: NDArray[Any], docs: NDArray[Any]) -> NDArray[Any]:
    """Return the ordinals of the documents of consecutive blocks: int32, shape (postings,)."""
    ordinals = np.empty(len(docs), np.int32)
    at = 0
    for block in range(len(windows)):
        base = np.int32(windows[block]) << SHIFT
        for _ in range(np.int32(sizes[block]) + 1):
            ordinals[at] = base + docs[at]
            at += 1
    return ordinals


@njit(cache=True, nogil=True, error_model="numpy")
def transpose(
    indptr: NDArray[Any], columns: NDArray[Any], size: int
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Turn rows of a sparse matrix into columns: return where each begins, its rows, and its entries.

    ``indptr``: int64, shape (rows + 1,). ``columns``: int32, shape (entries,), all below ``size``.
    Returned are int64 (size + 1,); int32 (entries,), the rows of each column in ascending order;
    and int64 (entries,), where those entries stood. A counting sort, in linear time.
    """
    starts = np.zeros(size + 1, np.int64)
    for entry in range(len(columns)):
        starts[columns[entry] + 1] += 1
    for column in range(size):
        starts[column + 1] += starts[column]
    free = starts[:size].copy()
    rows = np.empty(len(columns), np.int32)
    entries = np.empty(len(columns), np.int64)
    for row in range(len(indptr) - 1):
        for entry in range(indptr[row], indptr[row + 1]):
            at = free[columns[entry]]
            free[columns[entry]] += 1
            rows[at] = row
            entries[at] = entry
    return starts, rows, entries


@njit(cache=True, nogil=True, error_model="numpy")
def find(data: NDArray[Any], offsets: NDArray[Any], wanted: NDArray[Any]) -> int:
    """Return the position of a byte string in a sorted column of them (see `Strings`), or -1."""
    low, high = 0, len(offsets) - 1
    while low < high:
        middle = (low + high) >> 1
        start, stop = offsets[middle], offsets[middle + 1]
        shorter = min(stop - start, len(wanted))
        order = 0
        for i in range(shorter):
            if data[start + i] != wanted[i]:
                order = 1 if data[start + i] > wanted[i] else -1
                break
        if order == 0:
            order = np.sign(stop - start - len(wanted))
        if order == 0:
            return middle
        if order < 0:
            low = middle + 1
        else:
            high = middle
    return -1


@njit(cache=True, nogil=True, error_model="numpy")
def count(
    windows: NDArray[Any],
    sizes: NDArray[Any],
    docs: NDArray[Any],
    values: NDArray[Any],
    fields: NDArray[Any],
    live: NDArray[Any],
) -> int:
    """Count the postings of consecutive blocks whose document is live and has a value in some field.

    ``fields``: float64, shape (F,), of which those above 0 count; empty for all. ``live``: bool, one
    per document; empty if all are live.
    """
    found = at = 0
    for block in range(len(windows)):
        base = np.int64(windows[block]) << SHIFT
        for _ in range(np.int64(sizes[block]) + 1):
            if len(live) == 0 or live[base + docs[at]]:
                has = len(fields) == 0
                for field in range(len(fields)):
                    has |= fields[field] > 0 and values[field, at] > 0
                found += has
            at += 1
    return found
