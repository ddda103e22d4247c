"""Settings to be tried: which branches with which parameters, and how they are fused."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from hybrid.branches import BM25, Branch
from hybrid.errors import InputError
from hybrid.fusion import DBSF, RRF, TM2C2, Fusion, MinMax, Weighted, ZScore
from hybrid.fusion.normalizers import Normalizer
from hybrid.pipeline import Pipeline
from hybrid.rerankers import Scoring

FAMILIES = (
    "single branch",
    "single branch, BM25 tuned",
    "weighted",
    "rank fusion",
    "weighted and normalised",
    "weighted, normalised, BM25 tuned",
    "reranked",
)
"""What may be chosen among, the simplest first: each has more to choose than the one before."""


@dataclass(frozen=True, slots=True)
class Grid:
    """The values to be tried.

    ``steps``: into how many equal parts a branch's weight is cut. ``normalizers``: those of weighted
    sums, the first of them in the simple family. ``rrf_k``: of rank fusion. ``k1`` and ``b``: of every
    BM25 branch; empty ones leave it as it is. ``tops`` and ``shares``: how many documents a rerank stage
    sees and the weight of its score, for every `Rerank` and `MaxSim` stage of the pipeline, beside the
    values that it has; empty ones leave stages as they are, unmeasured.
    """

    steps: int = 20
    normalizers: tuple[Normalizer, ...] = (
        TM2C2(),
        MinMax(),
        MinMax(depth=100),
        ZScore(depth=100),
        ZScore(depth=1000),
        DBSF(depth=100),
    )
    rrf_k: tuple[float, ...] = (5, 10, 20, 60, 100)
    k1: tuple[float, ...] = (0.6, 0.9, 1.2, 1.6, 2.0)
    b: tuple[float, ...] = (0.3, 0.5, 0.75, 0.9)
    tops: tuple[int, ...] = (10, 20, 50, 100)
    shares: tuple[float, ...] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)

    def __post_init__(self) -> None:
        if not isinstance(self.steps, int) or isinstance(self.steps, bool) or self.steps < 2:
            raise InputError(f"steps is {self.steps!r}; give a whole number of at least 2")
        if not self.normalizers and not self.rrf_k:
            raise InputError("the grid has neither a normalizer nor a k of RRF; give one at least")


@dataclass(frozen=True, slots=True)
class Setting:
    """One configuration.

    The columns it reads, how it fuses them (None: one column alone), its family, and its rerank stages.
    """

    columns: tuple[int, ...]
    fusion: Fusion | None
    family: str
    rerank: tuple[Scoring, ...] = ()

    def pipeline(self, base: Pipeline, branches: Sequence[Branch]) -> Pipeline:
        """Return the pipeline that this is; everything else is as in ``base``."""
        chosen = tuple(branches[n] for n in self.columns)
        rerank = self.rerank or base.only(tuple(branch.name for branch in chosen)).rerank
        return replace(base, branches=chosen, fusion=self.fusion or Weighted(), rerank=rerank)


def variants(pipeline: Pipeline, grid: Grid) -> list[Branch]:
    """Return the pipeline's branches, then its BM25 branches with the grid's other k1 and b."""
    branches: list[Branch] = list(pipeline.branches)
    for branch in pipeline.branches:
        if isinstance(branch, BM25):
            made = (replace(branch, k1=k1, b=b) for k1, b in itertools.product(grid.k1, grid.b))
            branches += [other for other in made if other != branch]
    return branches


def settings(pipeline: Pipeline, branches: Sequence[Branch], grid: Grid) -> list[Setting]:
    """Return every setting of a grid, the simpler families first, and in each the stored values first.

    ``branches``: what `variants` returned.
    """
    count = len(pipeline.branches)
    stored = tuple(range(count))
    found = [Setting((n,), None, FAMILIES[0]) for n in stored]
    found += [Setting((n,), None, FAMILIES[1]) for n in range(count, len(branches))]
    if count == 1:
        return found
    sums = [Weighted(weights=w, normalizer=n) for n in grid.normalizers for w in _weights(pipeline, grid)]
    simple = [fusion for fusion in sums if fusion.normalizer == grid.normalizers[0]]
    ranks = [RRF(k=k, weights=w) for k in grid.rrf_k for w in _weights(pipeline, grid)]
    found += [Setting(stored, fusion, FAMILIES[2]) for fusion in simple]
    found += [Setting(stored, fusion, FAMILIES[3]) for fusion in ranks]
    found += [Setting(stored, fusion, FAMILIES[4]) for fusion in sums if fusion not in simple]
    for columns in _columns(pipeline, branches):
        found += [Setting(columns, fusion, FAMILIES[5]) for fusion in sums]
    return found


def _weights(pipeline: Pipeline, grid: Grid) -> list[dict[str, float]]:
    """Return weights that sum to 1, all above 0, for every way to share ``steps`` parts."""
    names = [branch.name for branch in pipeline.branches]
    steps = max(grid.steps if len(names) == 2 else grid.steps // 2, len(names) + 1)
    return [
        {name: round(part / steps, 4) for name, part in zip(names, parts, strict=True)}
        for parts in _shares(steps, len(names))
    ]


def _shares(steps: int, count: int) -> Iterator[tuple[int, ...]]:
    if count == 1:
        yield (steps,)
        return
    for first in range(1, steps - count + 2):
        yield from ((first, *rest) for rest in _shares(steps - first, count - 1))


def _columns(pipeline: Pipeline, branches: Sequence[Branch]) -> Iterator[tuple[int, ...]]:
    """Yield the stored columns with one or more of them replaced by variants, all by the same k1 and b."""
    count = len(pipeline.branches)
    values = dict.fromkeys((b.k1, b.b) for b in branches[count:] if isinstance(b, BM25))
    for k1, b in values:
        columns = []
        for n, branch in enumerate(pipeline.branches):
            other = replace(branch, k1=k1, b=b) if isinstance(branch, BM25) else branch
            columns.append(n if other == branch else branches.index(other, count))
        if tuple(columns) != tuple(range(count)):
            yield tuple(columns)
