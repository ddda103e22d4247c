"""What passages of documents a branch compares, and how their scores become documents'."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from hybrid.errors import PipelineError
from hybrid.text.chunking import Chunker, Recursive
from hybrid.types import Floats

Aggregate: TypeAlias = Literal["mean", "sum"]
Extent: TypeAlias = Literal["all", "long", "none"]


@dataclass(frozen=True, slots=True)
class Passages:
    """How documents are cut into passages, and how passages' scores become documents'.

    A document's score is that of its best passage, or the mean or the sum of its best few; every document is
    scored so, listed or not.

    ``chunker``: how they are cut; within what every model that compares these passages reads at once, or
    ``words`` words where there is no model. ``best``: how many of a document's passages count for its score,
    the best; 1 for the best alone. ``aggregate``: their "mean" (of as many as there are), or their "sum".
    ``cut``: "all" cuts every document, for every branch. "long" cuts only documents that are longer than a
    model reads at once, and only for branches with such a model: other branches, and models that do not say
    how they count, see documents whole, and so is a document that brings a ready-made vector. "none" cuts
    nothing. ``opening``: whether as much as the model reads of a document's start is one of its passages, too
    (its parts alone may say too little). ``context``: what a passage of a hit is shown with: so many of its
    neighbours on each side, or the "part" that `hybrid.Nested` cut it from. ``best``, ``aggregate`` and
    ``context`` may be changed on a built index.
    """

    chunker: Chunker = field(default_factory=Recursive)
    best: int = 1
    aggregate: Aggregate = "mean"
    words: int = 200
    cut: Extent = "all"
    context: int | Literal["part"] = 0
    opening: bool = False

    def __post_init__(self) -> None:
        if not hasattr(self.chunker, "passages") or isinstance(self.chunker, type):
            raise PipelineError(f"chunker is {self.chunker!r}; give a chunker such as Recursive()")
        for name in ("best", "words"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise PipelineError(f"{name} is {value!r}; give a whole number of at least 1")
        if self.aggregate not in get_args(Aggregate):
            raise PipelineError(
                f"aggregate is {self.aggregate!r}; accepted: {', '.join(get_args(Aggregate))}"
            )
        whole = isinstance(self.context, int) and not isinstance(self.context, bool) and self.context >= 0
        if not whole and self.context != "part":
            raise PipelineError(
                f"context is {self.context!r}; give a number of neighbours, at least 0, or 'part'"
            )
        if not isinstance(self.opening, bool):
            raise PipelineError(f"opening is {self.opening!r}; give True or False")
        if self.cut not in get_args(Extent):
            raise PipelineError(f"cut is {self.cut!r}; accepted: {', '.join(get_args(Extent))}")

    def stored(self) -> dict[str, Any]:
        """Return what the stored passages depend on."""
        more: dict[str, Any] = {} if self.cut == "all" else {"cut": self.cut}
        if self.opening:
            more["opening"] = True
        return {"passages": repr(self.chunker), "words": self.words, **more}

    def combined(self, scores: Floats, bounds: NDArray[np.int64]) -> Floats:
        """Return documents' scores, float32; those of document i's passages are from bounds[i], one at least.

        >>> Passages(best=2).combined(np.float32([1, 5, 2, 7]), np.array([0, 3, 4])).tolist()
        [3.5, 7.0]
        """
        if not len(bounds) - 1:
            return np.empty(0, np.float32)
        if self.best == 1:
            return np.maximum.reduceat(scores, bounds[:-1])
        sizes = np.diff(bounds)
        order = np.lexsort((-scores, np.repeat(np.arange(len(sizes)), sizes)))
        place = np.arange(len(scores)) - np.repeat(bounds[:-1], sizes)
        counted = np.where(place < self.best, scores[order].astype(np.float64), 0.0)
        sums = np.add.reduceat(counted, bounds[:-1])
        if self.aggregate == "mean":
            sums /= np.minimum(sizes, self.best)
        return sums.astype(np.float32)

    def bound(self, score: float) -> float:
        """Return the highest score of a document none of whose passages scores more."""
        return score * self.best if self.aggregate == "sum" and score > 0 else score

    def lowest(self, score: float) -> float:
        """Return the lowest score of a document none of whose passages scores less."""
        return score * self.best if self.aggregate == "sum" and score < 0 else score


LONG = Passages(best=2, cut="long", opening=True)
"""What a pipeline does unless it says otherwise: nothing that a model would lose the end of stays whole.

That the opening is a passage, and the best two count, was chosen on training questions (`eval/passages.py`).
"""
