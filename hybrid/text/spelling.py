"""Words that are few edits away from another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def distances(word: str, others: Sequence[str]) -> NDArray[np.int64]:
    """Return how many edits make each of the others of a word: int64, shape (others,).

    An edit inserts, deletes or replaces a character, or swaps two neighbours; no part is edited twice
    (optimal string alignment: Damerau 1964, Boytsov 2011). All are compared at once, in time in proportion
    to the product of the longest length and the word's.

    >>> distances("retrieval", ["retreival", "retrieve", "arrival"]).tolist()
    [1, 2, 4]
    """
    width = max(map(len, others), default=0)
    if not width:
        return np.full(len(others), len(word), np.int64)
    codes = np.array(others, f"<U{width}").view("<u4").reshape(len(others), width)
    own = np.array([word], f"<U{max(1, len(word))}").view("<u4")[: len(word)]
    before = np.zeros((width + 1, len(others)), np.int64)
    row = np.repeat(np.arange(width + 1)[:, None], len(others), axis=1)
    for i in range(1, len(word) + 1):
        earlier, before, row = before, row, np.empty_like(row)
        row[0] = i
        for j in range(1, width + 1):
            replaced = before[j - 1] + (codes[:, j - 1] != own[i - 1])
            row[j] = np.minimum(np.minimum(before[j], row[j - 1]) + 1, replaced)
            if i > 1 and j > 1:
                swapped = (codes[:, j - 1] == own[i - 2]) & (codes[:, j - 2] == own[i - 1])
                row[j] = np.where(swapped, np.minimum(row[j], earlier[j - 2] + 1), row[j])
    lengths = np.array([len(other) for other in others])
    found: NDArray[np.int64] = row[lengths, np.arange(len(others))]
    return found


def allowed(word: str, most: int) -> int:
    """Return how many edits a word may be away: none below 3 characters, 1 below 6, else 2, at most ``most``.

    These are the limits that search engines call "auto".

    >>> [allowed(word, 2) for word in ("an", "ants", "anteater")]
    [0, 1, 2]
    """
    return min(most, 0 if len(word) < 3 else 1 if len(word) < 6 else 2)
