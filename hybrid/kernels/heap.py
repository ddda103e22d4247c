"""The best k of a stream of scored documents, by (score descending, document ascending)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray


@njit(cache=True, nogil=True, inline="always")
def _below(score: float, doc: int, other_score: float, other_doc: int) -> bool:
    """Return whether the first document ranks below the second."""
    return score < other_score or (score == other_score and doc > other_doc)


@njit(cache=True, nogil=True, error_model="numpy")
def push(scores: NDArray[Any], docs: NDArray[Any], size: int, score: float, doc: int) -> int:
    """Offer a document to a heap whose root ranks lowest; return the heap's new size.

    ``scores``: float32 and ``docs``: int32, both of shape (k,), k at least 1; the heap is in the
    first ``size`` places.
    """
    k = len(scores)
    if size < k:
        at = size
        while at > 0:
            parent = (at - 1) >> 1
            if not _below(score, doc, scores[parent], docs[parent]):
                break
            scores[at], docs[at] = scores[parent], docs[parent]
            at = parent
        scores[at], docs[at] = score, doc
        return size + 1
    if _below(score, doc, scores[0], docs[0]):
        return size
    _sift(scores, docs, size, score, doc)
    return size


@njit(cache=True, nogil=True, error_model="numpy")
def ordered(scores: NDArray[Any], docs: NDArray[Any], size: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Empty a heap: return its documents (int64) and scores (float32), best first."""
    best_docs, best_scores = np.empty(size, np.int64), np.empty(size, np.float32)
    while size:
        size -= 1
        best_docs[size], best_scores[size] = docs[0], scores[0]
        _sift(scores, docs, size, scores[size], docs[size])
    return best_docs, best_scores


@njit(cache=True, nogil=True, error_model="numpy")
def _sift(scores: NDArray[Any], docs: NDArray[Any], size: int, score: float, doc: int) -> None:
    """Put a document in the root's place, and down to where it belongs among the first ``size``."""
    at = 0
    while True:
        child = 2 * at + 1
        if child >= size:
            break
        if child + 1 < size and _below(scores[child + 1], docs[child + 1], scores[child], docs[child]):
            child += 1
        if not _below(scores[child], docs[child], score, doc):
            break
        scores[at], docs[at] = scores[child], docs[child]
        at = child
    scores[at], docs[at] = score, doc
