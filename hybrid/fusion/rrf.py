"""Reciprocal rank fusion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hybrid.fusion.columns import Column, Fused, branches_of, total
from hybrid.fusion.weights import Weights, number
from hybrid.types import BranchKind, Doubles
from hybrid.values import short_repr


@dataclass(frozen=True, slots=True, repr=False)
class RRF:
    """Sum of ``weight / (k + rank)`` over the branches (Cormack, Clarke and Buettcher 2009).

    Ranks start at 1 and are the true ones, however deep: a document is not punished for standing
    just below the end of a list. A document that a branch does not match at all gets nothing from
    it. ``weights`` gives branches a weight by name; without it each has 1.
    """

    k: float = 60
    weights: Mapping[str, float] | None = None

    needs_ranks: ClassVar[bool] = True
    needs_minimum: ClassVar[bool] = False
    depth: ClassVar[int] = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "k", number("k", self.k, low=0, above=True))
        if self.weights is not None:
            object.__setattr__(self, "weights", Weights(self.weights))

    def __repr__(self) -> str:
        """Show k, and the weights if there are any."""
        return short_repr(self, k=self.k)

    def weights_for(self, branches: Sequence[tuple[str, BranchKind]]) -> tuple[float, ...]:
        """Return the weight of each branch."""
        return (1.0,) * len(branches) if self.weights is None else Weights(self.weights).of(branches)

    def fuse(self, columns: Sequence[Column]) -> Fused:
        """Combine by rank; ``normalized`` holds the reciprocals ``1 / (k + rank)``."""
        normalized = np.stack([self._reciprocal(column) for column in columns])
        contributions = np.array(self.weights_for(branches_of(columns)))[:, None] * normalized
        return Fused(normalized, contributions, total(contributions))

    def _reciprocal(self, column: Column) -> Doubles:
        ranked = column.ranks > 0
        reciprocal = np.zeros(len(ranked))
        reciprocal[ranked] = 1.0 / (float(self.k) + column.ranks[ranked])
        return reciprocal
