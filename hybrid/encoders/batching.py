"""Batches of texts of equal token length: no padding, so no text can touch another's vector."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray


def equal_length_batches(lengths: Sequence[int], budget: int) -> Iterator[NDArray[np.int64]]:
    """Yield positions in batches of one length each, longest first, then by position.

    A batch holds at most ``budget`` tokens, but always at least one text.

    >>> [batch.tolist() for batch in equal_length_batches([2, 3, 2, 3, 2], budget=4)]
    [[1], [3], [0, 2], [4]]
    """
    values = np.asarray(lengths, np.int64)
    order = np.argsort(-values, kind="stable")
    edges = np.flatnonzero(np.diff(values[order])) + 1
    for group in np.split(order, edges):
        if len(group):
            size = max(1, budget // max(1, int(values[group[0]])))
            for start in range(0, len(group), size):
                yield group[start : start + size]
