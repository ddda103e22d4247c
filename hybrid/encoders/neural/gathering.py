"""From rows of numbers, one text after the other, to the batches that encoders return."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from hybrid.batches import SparseBatch, TokenBatch
from hybrid.errors import EncoderError
from hybrid.types import Bools, Floats

SparseRow = tuple[NDArray[np.int32], Floats]
"""The terms of one text, distinct, and their weights, above 0."""


def sparse_batch(rows: Sequence[SparseRow], truncated: Bools) -> SparseBatch:
    """Return the rows as one batch."""
    terms = np.concatenate([np.empty(0, np.int32), *(terms for terms, _ in rows)])
    weights = np.concatenate([np.empty(0, np.float32), *(weights for _, weights in rows)])
    return SparseBatch(bounds([len(terms) for terms, _ in rows]), terms, weights, truncated)


def token_batch(rows: Sequence[Floats], dimension: int, truncated: Bools) -> TokenBatch:
    """Return the rows, each of shape (tokens, dimension), as one batch."""
    vectors = np.concatenate([np.empty((0, dimension), np.float32), *rows])
    return TokenBatch(bounds([len(row) for row in rows]), vectors, truncated)


def bounds(sizes: Sequence[int]) -> NDArray[np.int64]:
    """Return where rows of these sizes begin and end, put end to end.

    >>> bounds([2, 0, 3]).tolist()
    [0, 2, 2, 5]
    """
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(np.asarray(sizes, np.int64))])


def highest_by_term(ids: Sequence[int], weights: Floats, without: Collection[int]) -> SparseRow:
    """Return each term's highest weight among the tokens of a text, where it is above 0.

    ``weights``: float32, shape (tokens,). ``without``: ids that are no terms.

    >>> terms, highest = highest_by_term([5, 7, 5, 1], np.float32([1, 0, 3, 9]), {1})
    >>> terms.tolist(), highest.tolist()
    ([5], [3.0])
    """
    terms, place = np.unique(np.asarray(ids, np.int32), return_inverse=True)
    highest = np.zeros(len(terms), np.float32)
    np.maximum.at(highest, place, weights)
    kept = (highest > 0) & ~np.isin(terms, list(without))
    return terms[kept], highest[kept]


def check_finite(numbers: Floats, name: str) -> Floats:
    """Return the numbers.

    Raises:
        EncoderError: one of them is not finite.
    """
    if not np.isfinite(numbers).all():
        raise EncoderError(
            f"model {name!r} gave numbers that are not finite; its weights may be damaged, or its dtype too "
            "narrow: load it as float32"
        )
    return numbers
