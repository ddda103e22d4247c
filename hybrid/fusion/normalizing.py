"""What the fusions of normalised scores have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from hybrid.fusion.columns import Column
from hybrid.fusion.normalizers import Normalizer, as_normalizer
from hybrid.types import Doubles


class Normalizing:
    """A fusion with a ``normalizer``; it needs of each branch what its normaliser needs."""

    __slots__ = ()

    normalizer: Normalizer | str
    needs_ranks: ClassVar[bool] = False

    @property
    def needs_minimum(self) -> bool:
        """Whether the normaliser reads the minimum."""
        return as_normalizer(self.normalizer).needs_minimum

    @property
    def depth(self) -> int:
        """How many of each branch's best scores the normaliser reads."""
        return as_normalizer(self.normalizer).depth or 0

    def normalized(self, columns: Sequence[Column]) -> Doubles:
        """Return the columns' normalised scores: float64 (branches, n)."""
        normalizer = as_normalizer(self.normalizer)
        return np.stack([normalizer.normalize(column.raw, column.summary) for column in columns])
