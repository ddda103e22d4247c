"""A reranking stage: a reranker, how many candidates it sees, and how much its score counts."""

from __future__ import annotations

from dataclasses import dataclass

from hybrid.errors import PipelineError


@dataclass(frozen=True, slots=True)
class Rerank:
    """Rescore the ``top`` candidates with a reranker, and interpolate with what came before.

    ``model`` names a reranker that is handed to ``hybrid.open`` or ``hybrid.create``
    (``rerankers={"name": …}``). Over the ``top`` candidates both scores are mapped to [0, 1] by
    their minimum and maximum, and ``weight`` is the share of the reranker's: 1 orders by the
    reranker alone, 0 keeps the order. Documents below the ``top`` stay below, in their order,
    and their scores are shifted below those of the ``top``.
    """

    model: str
    top: int = 100
    weight: float = 1.0

    def __post_init__(self) -> None:
        if not isinstance(self.model, str) or not self.model:
            raise PipelineError(f"the model of a rerank stage is {self.model!r}; give a reranker's name")
        if not isinstance(self.top, int) or isinstance(self.top, bool) or self.top < 1:
            raise PipelineError(f"top is {self.top!r}; give a whole number of at least 1")
        number = isinstance(self.weight, int | float) and not isinstance(self.weight, bool)
        if not number or not 0 <= self.weight <= 1:
            raise PipelineError(f"weight is {self.weight!r}; give a number from 0 to 1")

    @property
    def name(self) -> str:
        """The name of the stage in results."""
        return f"rerank:{self.model}"
