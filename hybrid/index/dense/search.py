"""One query against one segment: what every way of searching it answers."""

from __future__ import annotations

from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from hybrid.index.dense.stored import Stored
from hybrid.index.ranks import Standing
from hybrid.ranking import top_positions
from hybrid.types import Bools, Doubles, Floats

Found: TypeAlias = tuple[NDArray[np.int64], Floats]
"""Ordinals and true scores, by (score descending, ordinal ascending)."""


class Search(Protocol):
    """One query's true scores in one segment, over its eligible documents."""

    def top(self, k: int, floor: Doubles) -> Found:
        """Return the best ``k`` documents.

        ``floor``: float64, shape (1,), a score that ``k`` documents of the snapshot reach, -inf if
        unknown. Documents below it may be left out, and what is found may raise it.
        """
        ...

    def standing(self, levels: Floats) -> Standing:
        """Return how the documents stand to true scores, given in ascending order."""
        ...


class Plain:
    """Scores every eligible document exactly: for few, and for vectors that no library reads as kept."""

    def __init__(self, stored: Stored, query: Floats, eligible: Bools | None) -> None:
        self._stored, self._query, self._eligible = stored, query, eligible

    def top(self, k: int, floor: Doubles) -> Found:
        """Return the best ``k`` documents."""
        return best_of(self._stored, ordinals_of(self._stored, self._eligible), self._query, k)

    def standing(self, levels: Floats) -> Standing:
        """Return how the documents stand to true scores, given in ascending order."""
        ordinals = ordinals_of(self._stored, self._eligible)
        scores = self._stored.vectors.products(ordinals, self._query)
        return standing_of(ordinals, scores, levels)


def ordinals_of(stored: Stored, eligible: Bools | None) -> NDArray[np.int64]:
    """Return the eligible documents, ascending."""
    return np.arange(len(stored)) if eligible is None else np.flatnonzero(eligible)


def best_of(stored: Stored, ordinals: NDArray[np.int64], query: Floats, k: int) -> Found:
    """Return the best ``k`` of some documents, given in ascending order, by their true scores."""
    scores = stored.vectors.products(ordinals, query)
    best = top_positions(scores, k)
    return ordinals[best], scores[best]


def standing_of(ordinals: NDArray[np.int64], scores: Floats, levels: Floats) -> Standing:
    """Return how documents with these true scores, given in ascending order, stand to levels."""
    ascending = np.sort(scores)
    left = np.searchsorted(ascending, levels, "left")
    right = np.searchsorted(ascending, levels, "right")
    return Standing(len(ascending) - right, right - left, lambda n: ordinals[scores == levels[n]])
