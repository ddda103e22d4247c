"""Rerank stages: what rescores, reorders or thins out the fused list, and how much of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from hybrid.errors import PipelineError


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Let neighbours of good candidates join those that a stage rescores.

    Graph-based adaptive reranking (MacAvaney, Tonellotto and Macdonald 2022): documents are rescored in
    batches, in turn the next of the list and the nearest neighbours of the best so far, until ``top`` of
    the stage are. So what no branch listed can be found, and no more documents are rescored.

    ``branch`` names the branch that decides what is near: a `hybrid.Dense` one by its stored vectors, or
    a `hybrid.BM25` one by the document's text as a query. ``k``: how many neighbours of a document join.
    ``batch``: how many documents are rescored at a time. Filters and deletes hold for neighbours too.
    Neighbours are searched for when they are needed (no graph is stored), one search of the branch for
    each document rescored but the last batch's, and remembered as long as the generation is open.
    """

    branch: str = "dense"
    k: int = 8
    batch: int = 16

    def __post_init__(self) -> None:
        _check_named("branch", self.branch)
        _check_whole("k", self.k)
        _check_whole("batch", self.batch)


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

    ``expand``: let neighbours in (`Neighbours`). They stand below the list before, by their fused scores.
    """

    model: str
    top: int = 100
    weight: float = 1.0
    expand: Neighbours | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.model, str) or not self.model:
            raise PipelineError(f"the model of a rerank stage is {self.model!r}; give a reranker's name")
        _check_share(self.top, self.weight)
        _check_expand(self.expand)

    @property
    def name(self) -> str:
        """The name of the stage in results."""
        return f"rerank:{self.model}"

    @property
    def branch(self) -> str | None:
        """The branch that the stage reads, if there is one."""
        return self.expand.branch if self.expand else None


@dataclass(frozen=True, slots=True)
class MaxSim:
    """Rescore the ``top`` candidates by late interaction over stored token vectors.

    For each token of the query the best of the document's tokens, summed (Khattab and Zaharia 2020).
    ``model`` names an encoder of token vectors (ColBERT, BGE-M3); with a ``dimension`` instead, documents
    and queries bring their token vectors under the stage's name. Token vectors are made when
    documents are added, and kept as ``storage``, ``project``, ``pool`` and ``clusters`` say, which are those
    of `hybrid.Multivector`; a branch's that keeps the same are shared, and compared where the branch compares
    them. ``device`` is that of `hybrid.Multivector`. ``top``, ``weight`` and ``expand``
    are those of `Rerank`.
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
    expand: Neighbours | None = None
    device: str | None = None

    def __post_init__(self) -> None:
        _check_share(self.top, self.weight)
        _check_expand(self.expand)

    @property
    def branch(self) -> str | None:
        """The branch that the stage reads, if there is one."""
        return self.expand.branch if self.expand else None


@dataclass(frozen=True, slots=True)
class Parents:
    """Keep at most ``most`` passages of each parent: those that rank highest; the others are left out.

    Put first, it acts before any rank or score counts in a later stage, and the fused list is deepened
    until later stages and the page are full, but not past its best ``within``. ``field`` is the metadata
    key that names a passage's parent, as `hybrid.split` writes it. A document without it, or with null
    there, is its own parent, by its id, and so counts among the passages that name it. Scores stay as they
    are.
    """

    field: str = "parent"
    most: int = 1
    within: int = 1000
    name: str = "parents"

    top: ClassVar[int] = 1
    branch: ClassVar[None] = None

    def __post_init__(self) -> None:
        _check_named("field", self.field)
        _check_named("name", self.name)
        _check_whole("most", self.most)
        _check_whole("within", self.within)


@dataclass(frozen=True, slots=True)
class MMR:
    """Reorder the ``top`` candidates so that each brings something new (maximal marginal relevance).

    One after the other that document comes next whose ``weight``·relevance - (1 - ``weight``)·similarity is
    highest (Carbonell and Goldstein 1998). Relevance is the score before, mapped to [0, 1] over the
    ``top`` by minimum and maximum; similarity is the greatest cosine (at least 0) with one that came before
    it, over the stored vectors of the dense ``branch``. 1 keeps the order. The new score is that value.
    """

    branch: str = "dense"
    top: int = 50
    weight: float = 0.7
    name: str = "mmr"

    def __post_init__(self) -> None:
        _check_named("branch", self.branch)
        _check_named("name", self.name)
        _check_share(self.top, self.weight)


Stage: TypeAlias = Rerank | MaxSim | Parents | MMR
Scoring: TypeAlias = Rerank | MaxSim

STAGES: dict[str, type[Rerank] | type[MaxSim] | type[Parents] | type[MMR]] = {
    "rerank": Rerank,
    "maxsim": MaxSim,
    "parents": Parents,
    "mmr": MMR,
}
"""The kinds of stages by the name that a recipe calls them."""


def _check_share(top: object, weight: object) -> None:
    _check_whole("top", top)
    if not isinstance(weight, int | float) or isinstance(weight, bool) or not 0 <= weight <= 1:
        raise PipelineError(f"weight is {weight!r}; give a number from 0 to 1")


def _check_whole(what: str, value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise PipelineError(f"{what} is {value!r}; give a whole number of at least 1")


def _check_named(what: str, value: object) -> None:
    if not isinstance(value, str) or not value:
        raise PipelineError(f"{what} is {value!r}; give a name")


def _check_expand(expand: object) -> None:
    if expand is not None and not isinstance(expand, Neighbours):
        raise PipelineError(f"expand is {expand!r}; give Neighbours('dense'), or None")
