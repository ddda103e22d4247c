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
from numpy.typing import NDArray

WIDTH = 256
"""Documents in a window."""

SHIFT = 8
MOST_DOCUMENTS = 1 << 24
"""Documents in a segment: as many as the window numbers can tell apart."""


def pack(
    starts: NDArray[np.int64], docs: NDArray[np.int32], worth: NDArray[np.uint8]
) -> tuple[NDArray[np.int64], NDArray[np.uint16], NDArray[np.uint8], NDArray[np.uint8]]:
    """Return ``blocks`` (int64), ``windows``, ``sizes`` and ``levels`` of postings.

    ``starts``: int64, shape (terms + 1,), no term without postings. ``docs``: int32, shape
    (postings,), ascending in each term. ``worth``: uint8, shape (postings,); a block's level is
    the highest of its postings'.
    """
    window = docs >> SHIFT
    first = np.ones(len(docs), np.bool_)
    np.not_equal(window[1:], window[:-1], out=first[1:])
    first[starts[:-1]] = True
    begins = np.flatnonzero(first)
    blocks = np.searchsorted(begins, starts)
    sizes = np.diff(begins, append=len(docs)) - 1
    levels = np.maximum.reduceat(worth, begins) if len(docs) else worth
    return blocks, window[begins].astype(np.uint16), sizes.astype(np.uint8), levels


def unpack(
    windows: NDArray[np.uint16], sizes: NDArray[np.uint8], docs: NDArray[np.uint8]
) -> NDArray[np.int32]:
    """Return the ordinals of the documents of consecutive blocks: int32, shape (postings,)."""
    bases = windows.astype(np.int32) << SHIFT
    ordinals = np.repeat(bases, sizes.astype(np.int64) + 1)
    ordinals += docs
    return ordinals


def transpose(
    indptr: NDArray[np.int64], columns: NDArray[np.int32], size: int
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int64]]:
    """Turn rows of a sparse matrix into columns: return where each begins, its rows, and its entries.

    ``indptr``: int64, shape (rows + 1,). ``columns``: int32, shape (entries,), all below ``size``.
    Returned are int64 (size + 1,); int32 (entries,), the rows of each column in ascending order;
    and int64 (entries,), where those entries stood.
    """
    from scipy.sparse import csr_array

    entries: Any = np.arange(len(columns))
    matrix = csr_array((entries, columns, indptr), shape=(len(indptr) - 1, size)).tocsc()
    return matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32), matrix.data
