"""Texts cut where their meaning turns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np

from hybrid.errors import PipelineError
from hybrid.text.chunking import seams
from hybrid.text.chunking.passage import Passage
from hybrid.text.chunking.pieces import check_lengths, pieces, seams_within, shifted
from hybrid.text.chunking.seams import SENTENCE
from hybrid.text.chunking.units import Units

Vectors = Callable[[Sequence[str]], Any]
"""What makes vectors of texts, float32 of shape (texts, d), in order."""


@dataclass(frozen=True, slots=True)
class Semantic:
    """Passages that end where a sentence differs most from the one before (embedding breakpoints).

    Each sentence is encoded with ``around`` sentences on both sides. Where the cosine distance of two
    neighbours is above the ``percentile`` of the text's distances, a passage ends; one of more than ``size``
    units is cut as by `Recursive` (Kamradt: "The 5 Levels of Text Splitting for Retrieval", 2023, level 4).

    ``model``: names the encoder, None for that of the first dense branch that compares these passages. An
    index finds it; elsewhere (`hybrid.split`) hand it in with `using`.
    """

    percentile: float = 95.0
    around: int = 1
    model: str | None = None
    size: int | None = None
    vectors: Vectors | None = field(default=None, repr=False, compare=False)

    kind: ClassVar[str] = "semantic"

    def __post_init__(self) -> None:
        check_lengths(self.size, 0)
        if not isinstance(self.around, int) or isinstance(self.around, bool) or self.around < 0:
            raise PipelineError(f"around is {self.around!r}; give a whole number of at least 0")
        number = isinstance(self.percentile, int | float) and not isinstance(self.percentile, bool)
        if not number or not 0 <= self.percentile <= 100:
            raise PipelineError(f"percentile is {self.percentile!r}; give a number from 0 to 100")

    def using(self, vectors: Vectors) -> Semantic:
        """Return the chunker with what makes vectors of texts, as `Vectors` says."""
        return replace(self, vectors=vectors)

    def passages(self, text: str, units: Units) -> list[Passage]:
        """Return the passages of a text.

        Raises:
            PipelineError: nothing makes vectors.
        """
        if self.vectors is None:
            raise PipelineError("Semantic has nothing that makes vectors; give it an encoder with using()")
        found = seams.of_prose(text)
        bounds = [0, *found.from_strength(SENTENCE).tolist(), len(text)]
        turns = self._turns(text, bounds, self.vectors)
        passages: list[Passage] = []
        for start, end in pairwise([0, *turns, len(text)]):
            parts = pieces(text[start:end], seams_within(found, start, end), units, self.size, 0)
            passages += shifted(parts, start)
        return passages

    def _turns(self, text: str, bounds: list[int], vectors: Vectors) -> list[int]:
        """Return where passages begin, the first left out."""
        sentences = len(bounds) - 1
        if sentences < 3:  # a percentile of one distance says nothing
            return []
        spans = ((max(0, n - self.around), min(sentences, n + self.around + 1)) for n in range(sentences))
        rows = np.asarray(vectors([text[bounds[a] : bounds[b]] for a, b in spans]), np.float64)
        rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.finfo(np.float64).tiny)
        distances = 1 - np.einsum("ij,ij->i", rows[:-1], rows[1:])
        above = np.flatnonzero(distances > np.percentile(distances, self.percentile))
        return [bounds[n + 1] for n in above.tolist()]
