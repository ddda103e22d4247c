"""Maximal marginal relevance: an order in which each document brings something new."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hybrid.types import Doubles, Floats


def mmr(relevance: Doubles, vectors: Floats, weight: float) -> tuple[NDArray[np.int64], Floats]:
    """Return positions, and the value that each had when it was chosen (Carbonell and Goldstein 1998).

    The next position is the one with the highest weight·relevance - (1 - weight)·similarity, where
    similarity is the greatest cosine with those before it, but at least 0 (so that values never rise), and
    0 for the first; at a tie the lowest position comes first. The cosine with a vector of zeros is 0.

    ``relevance``: float64, shape (n,). ``vectors``: float32, shape (n, d). ``weight``: from 0 to 1. Returns
    int64 and float32, shape (n,).

    >>> order, values = mmr(np.array([1.0, 0.9, 0.2]), np.float32([[1, 0], [1, 0], [0, 1]]), 0.5)
    >>> order.tolist(), values.round(3).tolist()
    ([0, 2, 1], [0.5, 0.10000000149011612, -0.05000000074505806])
    """
    wide = vectors.astype(np.float64)
    lengths = np.sqrt((wide * wide).sum(axis=1, keepdims=True))
    units = np.divide(wide, lengths, out=np.zeros_like(wide), where=lengths > 0)
    n = len(relevance)
    order, values = np.empty(n, np.int64), np.empty(n, np.float32)
    nearest = np.zeros(n)
    open_ = np.ones(n, np.bool_)
    for step in range(n):
        value = np.where(open_, weight * relevance - (1 - weight) * nearest, -np.inf).astype(np.float32)
        chosen = int(np.argmax(value))
        order[step], values[step] = chosen, value[chosen]
        open_[chosen] = False
        nearest = np.maximum(nearest, (units * units[chosen]).sum(axis=1))
    return order, values
