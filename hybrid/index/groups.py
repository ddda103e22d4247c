"""Entries in groups of any size, put end to end: those of some groups, in a new order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def spread(
    bounds: NDArray[np.int64], groups: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the bounds of some groups' entries put end to end, and the entries' positions; both int64.

    ``bounds``: shape (n + 1,); group i has the entries ``bounds[i]`` to ``bounds[i + 1]``.

    >>> [found.tolist() for found in spread(np.array([0, 2, 2, 5]), np.array([2, 0]))]
    [[0, 3, 5], [2, 3, 4, 0, 1]]
    """
    sizes = bounds[groups + 1] - bounds[groups]
    found = bounds_of(sizes)
    return found, np.arange(found[-1]) + np.repeat(bounds[groups] - found[:-1], sizes)


def together(parts: Sequence[NDArray[Any]]) -> NDArray[np.int64]:
    """Return the bounds of all parts' groups, put end to end.

    >>> together([np.array([0, 2, 3]), np.array([0, 4])]).tolist()
    [0, 2, 3, 7]
    """
    return bounds_of(np.concatenate([np.zeros(0, np.int64), *(np.diff(part) for part in parts)]))


def bounds_of(sizes: NDArray[Any]) -> NDArray[np.int64]:
    """Return where groups of these sizes begin when they are put end to end, and the end.

    >>> bounds_of(np.array([2, 0, 3])).tolist()
    [0, 2, 2, 5]
    """
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
