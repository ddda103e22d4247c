"""Reranking stages: what rescores, how many candidates it sees, and how much its score counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from hybrid.errors import PipelineError


@dataclass(frozen=True, slots=True)
class Rerank:
    """Rescore the ``top`` candidates with a reranker, and interpolate with what came before.

    ``model`` names a reranker: one that is handed to ``hybrid.open`` or ``hybrid.create``
    (``rerankers={"name": …}``), or one that `hybrid.load_reranker` knows: a cross-encoder's folder
    or hub name, such as ``BAAI/bge-reranker-v2-m3``.

    Over the ``top`` candidates both scores are mapped to [0, 1] by their minimum and maximum, and
    ``weight`` is the share of the reranker's: 1 orders by the reranker alone, 0 keeps the order.
    Documents below the ``top`` stay below, in their order, and their scores are shifted below
    those of the ``top``.
    """

    model: str
    top: int = 100
    weight: float = 1.0

    def __post_init__(self) -> None:
        if not isinstance(self.model, str) or not self.model:
            raise PipelineError(f"the model of a rerank stage is {self.model!r}; give a reranker's name")
        _check_share(self.top, self.weight)

    @property
    def name(self) -> str:
        """The name of the stage in results."""
        return f"rerank:{self.model}"


@dataclass(frozen=True, slots=True)
class MaxSim:
    """Rescore the ``top`` candidates by late interaction over stored token vectors.

    For each token of the query the best of the document's tokens, summed (Khattab and Zaharia 2020).
    ``model`` names an encoder of token vectors (ColBERT, BGE-M3); with a ``dimension`` instead, documents
    and queries bring their token vectors under the stage's name. Token vectors are made when
    documents are added, and kept as ``storage``, ``project``, ``pool`` and ``clusters`` say, which are those
    of `hybrid.Multivector`; a branch's that keeps the same are shared. ``top`` and ``weight`` are those of
    `Rerank`.
    """

    model: str | None = None
    top: int = 100
    weight: float = 1.0
    dimension: int | None = None
    storage: str = "float16"
    name: str = "maxsim"
    project: int | None = None
    pool: int | None = None
    clusters: int | None = None

    def __post_init__(self) -> None:
        _check_share(self.top, self.weight)


Stage: TypeAlias = Rerank | MaxSim

STAGES: dict[str, type[Rerank] | type[MaxSim]] = {"rerank": Rerank, "maxsim": MaxSim}
"""The kinds of stages by the name that a recipe calls them."""


def _check_share(top: object, weight: object) -> None:
    if not isinstance(top, int) or isinstance(top, bool) or top < 1:
        raise PipelineError(f"top is {top!r}; give a whole number of at least 1")
    if not isinstance(weight, int | float) or isinstance(weight, bool) or not 0 <= weight <= 1:
        raise PipelineError(f"weight is {weight!r}; give a number from 0 to 1")
