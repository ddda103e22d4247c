"""The weighted sum of normalised scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from hybrid.errors import PipelineError
from hybrid.fusion.columns import Column, Fused, branches_of, total
from hybrid.fusion.normalizers import TM2C2, Normalizer, as_normalizer
from hybrid.fusion.normalizing import Normalizing
from hybrid.fusion.weights import Weights, number
from hybrid.types import BranchKind
from hybrid.values import short_repr

DEFAULT_ALPHA = 0.8
"""Chosen on the training queries of scifact (``eval/results/alpha.json``)."""


@dataclass(frozen=True, slots=True, repr=False)
class Weighted(Normalizing):
    """A convex combination of the branches' normalised scores.

    ``alpha`` is the weight of the dense branches together, shared equally among them, and
    ``1 - alpha`` that of the sparse ones; where all branches are of one kind, they share 1.
    ``weights`` gives each branch its weight by name instead; it may name more branches than a search
    uses, and is not scaled to sum to 1.
    """

    alpha: float | None = None
    weights: Mapping[str, float] | None = None
    normalizer: Normalizer | str = field(default_factory=TM2C2)

    def __post_init__(self) -> None:
        object.__setattr__(self, "normalizer", as_normalizer(self.normalizer))
        if self.weights is not None:
            if self.alpha is not None:
                raise PipelineError(
                    f"Weighted has alpha {self.alpha!r} and weights {self.weights!r}; give one of them"
                )
            object.__setattr__(self, "weights", Weights(self.weights))
        elif self.alpha is None:
            object.__setattr__(self, "alpha", DEFAULT_ALPHA)
        else:
            object.__setattr__(self, "alpha", float(number("alpha", self.alpha, low=0, high=1)))

    def __repr__(self) -> str:
        """Show alpha or the weights, and the normaliser."""
        return short_repr(self, normalizer=self.normalizer)

    def weights_for(self, branches: Sequence[tuple[str, BranchKind]]) -> tuple[float, ...]:
        """Return the weight of each branch."""
        if self.weights is not None:
            return Weights(self.weights).of(branches)
        alpha = DEFAULT_ALPHA if self.alpha is None else float(self.alpha)
        dense = sum(kind == "dense" for _, kind in branches)
        sparse = len(branches) - dense
        if not dense or not sparse:
            return tuple(1.0 / len(branches) for _ in branches)
        return tuple(alpha / dense if kind == "dense" else (1 - alpha) / sparse for _, kind in branches)

    def fuse(self, columns: Sequence[Column]) -> Fused:
        """Normalise, weigh and add."""
        normalized = self.normalized(columns)
        contributions = np.array(self.weights_for(branches_of(columns)))[:, None] * normalized
        return Fused(normalized, contributions, total(contributions))
