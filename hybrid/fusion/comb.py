"""CombSUM, CombMNZ and CombMAX (Fox and Shaw 1994), over normalised scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from hybrid.errors import PipelineError
from hybrid.fusion.columns import Column, Fused, rounded, total
from hybrid.fusion.normalizers import MinMax, Normalizer, as_normalizer
from hybrid.fusion.normalizing import Normalizing
from hybrid.types import BranchKind


@dataclass(frozen=True, slots=True)
class _Comb(Normalizing):
    """What the three have in common: a normaliser, and no weights."""

    normalizer: Normalizer | str = field(default_factory=MinMax)

    def __post_init__(self) -> None:
        object.__setattr__(self, "normalizer", as_normalizer(self.normalizer))

    def weights_for(self, branches: Sequence[tuple[str, BranchKind]]) -> tuple[float, ...]:
        """Return 1 for each branch."""
        return (1.0,) * len(branches)


@dataclass(frozen=True, slots=True)
class CombSUM(_Comb):
    """The sum of the normalised scores."""

    def fuse(self, columns: Sequence[Column]) -> Fused:
        """Add."""
        normalized = self.normalized(columns)
        return Fused(normalized, normalized, total(normalized))


@dataclass(frozen=True, slots=True)
class CombMNZ(_Comb):
    """The sum of the normalised scores, times the number of branches that give more than 0.

    Takes only normalisers that never go below 0, because the product would not be monotone.
    """

    def __post_init__(self) -> None:
        object.__setattr__(self, "normalizer", as_normalizer(self.normalizer))
        if not as_normalizer(self.normalizer).non_negative:
            raise PipelineError(
                f"CombMNZ cannot use {self.normalizer!r}, which gives scores below 0; use TM2C2() or MinMax()"
            )

    def fuse(self, columns: Sequence[Column]) -> Fused:
        """Add, and multiply by the number of branches above 0."""
        # Rounding can put a score a hair below the theoretical minimum: without the floor, a document
        # that gains its first positive score would fall from 0 to below it.
        normalized = np.maximum(self.normalized(columns), 0.0)
        contributions = normalized * (normalized > 0).sum(axis=0)
        return Fused(normalized, contributions, total(contributions))


@dataclass(frozen=True, slots=True)
class CombMAX(_Comb):
    """The highest of the normalised scores; the branch that gives it contributes all of it."""

    def fuse(self, columns: Sequence[Column]) -> Fused:
        """Take the highest; the first branch's at a tie."""
        normalized = self.normalized(columns)
        first = np.arange(len(columns))[:, None] == normalized.argmax(axis=0)
        return Fused(normalized, np.where(first, normalized, 0.0), rounded(normalized.max(axis=0)))
