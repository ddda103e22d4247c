"""What a collection's judged queries say about its branches, before anything is tuned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hybrid.engine import HybridIndex
from hybrid.errors import InputError
from hybrid.evaluation.measures import Qrels
from hybrid.evaluation.resampling import Interval, bootstrap_interval
from hybrid.evaluation.scores import Scores
from hybrid.evaluation.settings import Grid, Setting, settings
from hybrid.fusion import TM2C2, Fusion
from hybrid.fusion.normalizers import Normalizer
from hybrid.types import Doubles, Query

DEPTHS = (10, 20, 50, 100, 200)
LOW_JUDGED = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class BranchDiagnosis:
    """A branch alone: mean and 95% interval of the measure, recall by depth, judged rate at 10."""

    name: str
    mean: float
    interval: Interval
    recall: Mapping[int, float]
    judged: float


@dataclass(frozen=True, slots=True, eq=False)
class FusionPoint:
    """One way to share the weight: the fusion, the mean, and its 95% interval."""

    fusion: Fusion
    mean: float
    interval: Interval


@dataclass(frozen=True, slots=True, eq=False)
class Disagreement:
    """A query on which branches differ most: the measure by branch."""

    query: str
    values: Mapping[str, float]

    @property
    def gap(self) -> float:
        """The best branch's value minus the worst one's."""
        return max(self.values.values()) - min(self.values.values())


@dataclass(frozen=True, slots=True, eq=False)
class Diagnosis:
    """What is there to be won.

    ``union_recall``: by depth, the recall of all branches' lists together: no reranker of that many
    can do better. ``curve``: the measure for every way to share the weight; a single branch stands
    for each end. ``best_fixed``: the best mean of one setting for all queries, ``oracle``: the mean if
    each query had its own best setting; a branch alone is a setting too. ``disagreements``: the queries
    on which branches differ most, the most first. ``warnings``: what makes these figures doubtful.
    """

    measure: str
    queries: int
    branches: tuple[BranchDiagnosis, ...]
    union_recall: Mapping[int, float]
    curve: tuple[FusionPoint, ...]
    best_fixed: float
    oracle: float
    disagreements: tuple[Disagreement, ...]
    warnings: tuple[str, ...]


def diagnose(
    index: HybridIndex,
    queries: Sequence[tuple[str, str | Query]],
    qrels: Qrels,
    measure: str = "nDCG@10",
    *,
    normalizer: Normalizer | None = None,
    depths: Sequence[int] = DEPTHS,
) -> Diagnosis:
    """Ask every branch once for every judged query, and look at what they say.

    ``normalizer``: of the curve's weighted sums (TM2C2).

    Raises:
        InputError: the measure or a depth is not accepted, or no query is judged.
    """
    if not depths or not all(isinstance(d, int) and not isinstance(d, bool) and d > 0 for d in depths):
        raise InputError(f"depths is {depths!r}; give whole numbers of at least 1")
    scores = Scores.of(index, queries, qrels, None, max(depths))
    grid = Grid(normalizers=(normalizer or TM2C2(),), rrf_k=(), k1=(), b=())
    tried = settings(index.pipeline, scores.branches, grid)
    table = scores.measure(tried, measure)
    alone = len(scores.branches)
    recall = _recall(scores, depths)
    judged = _judged_rates(scores)
    branches = tuple(
        BranchDiagnosis(
            branch.name, float(table[n].mean()), bootstrap_interval(table[n]), recall[n], float(judged[n])
        )
        for n, branch in enumerate(scores.branches)
    )
    return Diagnosis(
        measure=measure,
        queries=len(scores.queries),
        branches=branches,
        union_recall=recall[-1],
        curve=_curve(tried, table),
        best_fixed=float(table.mean(axis=1).max()),
        oracle=float(table.max(axis=0).mean()),
        disagreements=_disagreements(scores, table[:alone]),
        warnings=_warnings(branches, len(scores.queries)),
    )


def _recall(scores: Scores, depths: Sequence[int]) -> list[dict[int, float]]:
    """Return recall by depth of each branch, and last of their union, averaged over queries."""
    count = len(scores.branches)
    sums = np.zeros((count + 1, len(depths)))
    for completed, judged in zip(scores.completed, scores.grades, strict=True):
        wanted = sum(grade > 0 for grade in judged.values())
        found = np.array([judged.get(id, 0) > 0 for id in completed.ids], np.bool_)
        for place, depth in enumerate(depths):
            listed = np.array([(c.ranks > 0) & (c.ranks <= depth) & found for c in completed.columns])
            sums[:count, place] += listed.sum(axis=1) / wanted
            sums[count, place] += listed.any(axis=0).sum() / wanted
    sums /= len(scores.queries)
    return [dict(zip(depths, row.tolist(), strict=True)) for row in sums]


def _judged_rates(scores: Scores) -> Doubles:
    """Return the share of each branch's best 10 that has a judgement, averaged over queries."""
    rates = np.zeros(len(scores.branches))
    for completed, judged in zip(scores.completed, scores.grades, strict=True):
        known = np.array([id in judged for id in completed.ids], np.bool_)
        for n, column in enumerate(completed.columns):
            best = (column.ranks > 0) & (column.ranks <= 10)
            rates[n] += (known & best).sum() / max(1, best.sum())
    return rates / len(scores.queries)


def _curve(tried: Sequence[Setting], table: Doubles) -> tuple[FusionPoint, ...]:
    return tuple(
        FusionPoint(setting.fusion, float(values.mean()), bootstrap_interval(values, samples=2000))
        for setting, values in zip(tried, table, strict=True)
        if setting.fusion is not None
    )


def _disagreements(scores: Scores, alone: Doubles) -> tuple[Disagreement, ...]:
    names = [branch.name for branch in scores.branches]
    found = (
        Disagreement(query, dict(zip(names, alone[:, n].tolist(), strict=True)))
        for n, query in enumerate(scores.queries)
    )
    differing = [one for one in found if one.gap > 0]
    return tuple(sorted(differing, key=lambda one: (-one.gap, one.query)))


def _warnings(branches: Sequence[BranchDiagnosis], queries: int) -> tuple[str, ...]:
    warnings = []
    rates = sorted((branch.judged, branch.name) for branch in branches)
    if rates[0][0] < LOW_JUDGED:
        warnings.append(
            f"only {rates[0][0]:.0%} of the best 10 of {rates[0][1]} are judged; what is not "
            "counts as irrelevant"
        )
    if rates[-1][0] - rates[0][0] > 0.05:
        warnings.append(
            f"{rates[-1][0]:.0%} of the best 10 of {rates[-1][1]} are judged, {rates[0][0]:.0%} of those of "
            f"{rates[0][1]}: the judgements may favour the former"
        )
    if queries < 50:
        warnings.append(f"{queries} queries tell large differences only; look at the intervals")
    return tuple(warnings)
