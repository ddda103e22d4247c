"""Rerank stages among the settings: each document is scored once, whatever tops and weights are tried."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hybrid.engine import Completed, HybridIndex, complete_stages
from hybrid.engine.rerank import interpolated, lowered
from hybrid.errors import InputError
from hybrid.evaluation.placing import ABSENT, PlaceMeasure
from hybrid.evaluation.scores import Scores
from hybrid.evaluation.settings import FAMILIES, Grid, Setting
from hybrid.fusion import RRF, Fusion, Weighted
from hybrid.pipeline import Pipeline
from hybrid.ranking import Ranking, best
from hybrid.rerankers import MaxSim, Rerank, Scoring
from hybrid.threads import parallel
from hybrid.types import Doubles, Floats, Query

ORDERS = 4
"""How many shares of weight, beside the pipeline's own fusion and its branches alone, are reranked."""

DRIFT = 0.01
"""How far a model's scores may move with what else is in the list, as a part of their spread."""


def reranked(pipeline: Pipeline, tried: Sequence[Setting], grid: Grid) -> list[Setting]:
    """Return the settings of the family "reranked": orders to begin with, by stages to rerank them with.

    The orders are laid down beforehand (each branch alone, the pipeline's own fusion, a few of the simple
    weights), so that nothing of them was chosen on any query. None where the pipeline has no stage to be
    tuned, or one that is neither `Rerank` nor `MaxSim`.
    """
    if not tunable(pipeline, grid):
        return []
    stages = list(itertools.product(*(_variants(stage, grid) for stage in scoring(pipeline))))
    return [
        replace(order, family=FAMILIES[-1], rerank=chosen)
        for order in _orders(pipeline, tried)
        for chosen in stages
    ]


def tunable(pipeline: Pipeline, grid: Grid) -> bool:
    """Whether a pipeline's rerank stages can be tuned: there are some, and all do nothing but score."""
    all_score = len(scoring(pipeline)) == len(pipeline.rerank)
    return bool(pipeline.rerank and grid.tops and grid.shares and all_score)


def scoring(pipeline: Pipeline) -> tuple[Scoring, ...]:
    """Return the stages that do nothing but score what is in the list."""
    return tuple(s for s in pipeline.rerank if isinstance(s, Rerank | MaxSim) and s.expand is None)


def measure_reranked(
    index: HybridIndex,
    queries: Sequence[str | Query],
    scores: Scores,
    tried: Sequence[Setting],
    measure: str,
) -> Doubles:
    """Return float64 (settings, queries): the measure of settings that `reranked` returned.

    Each stage scores, once, every document that any order brings before it. ``queries``: those of
    ``scores``, in its order.

    Raises:
        InputError: a stage's score of a document depends on the others in the list.
        PipelineError: a stage names a reranker that is not there.
        EncoderError: a model failed.
    """
    wanted = PlaceMeasure.parse(measure)
    members: dict[tuple[tuple[int, ...], Fusion | None], list[int]] = defaultdict(list)
    for at, setting in enumerate(tried):
        members[setting.columns, setting.fusion].append(at)
    most = max(stage.top for setting in tried for stage in setting.rerank)
    orders = [[_order(completed, *way) for way in members] for completed in scores.completed]
    seen = [np.unique(np.concatenate([one.docnums[:most] for one in each])) for each in orders]
    ids = [[scores.completed[n].ids[at] for at in found.tolist()] for n, found in enumerate(seen)]
    stages = tried[0].rerank
    said = complete_stages(index, queries, ids, stages)
    _check_pointwise(index, queries[0], ids[0], stages, said[0])

    def one(n: int) -> Doubles:
        judged, documents = scores.grades[n], scores.completed[n].ids
        grades = np.array([judged.get(id, 0) for id in documents], np.int64)
        relevant = np.flatnonzero(grades > 0)
        spread = np.zeros((len(stages), len(documents)), np.float32)
        spread[:, seen[n]] = said[n]
        places = np.empty((len(tried), len(relevant)), np.int32)
        for order, positions in zip(orders[n], members.values(), strict=True):
            for at in positions:
                after = _restaged(order, tried[at].rerank, spread)
                places[at] = _places(after, relevant, len(documents))
        ideal = [grade for grade in judged.values() if grade > 0]
        return wanted.values(places, grades[relevant], ideal)

    return np.stack(parallel(one, range(len(scores.queries))), axis=1)


def _variants(stage: Scoring, grid: Grid) -> list[Scoring]:
    """Return a stage as it is, then with every other top and weight of the grid."""
    made: list[Scoring] = [
        replace(stage, top=top, weight=share) for top, share in itertools.product(grid.tops, grid.shares)
    ]
    return [stage, *(other for other in made if other != stage)]


def _orders(pipeline: Pipeline, tried: Sequence[Setting]) -> list[Setting]:
    stored = tuple(range(len(pipeline.branches)))
    alone = [setting for setting in tried if setting.family == FAMILIES[0]]
    simple = [setting for setting in tried if setting.family == FAMILIES[2]]
    at = np.unique(np.linspace(-0.5, len(simple) - 0.5, ORDERS + 2)[1:-1].round().astype(int))
    chosen = [*alone, *(simple[n] for n in at if n < len(simple))]
    if len(stored) > 1 and isinstance(pipeline.fusion, Weighted | RRF):
        chosen.append(Setting(stored, pipeline.fusion, FAMILIES[2]))
    return chosen


def _order(completed: Completed, columns: tuple[int, ...], fusion: Fusion | None) -> Ranking:
    """Return the candidates in the order before any stage, as positions, with their fused scores."""
    chosen = [completed.columns[n] for n in columns]
    scores = (fusion or Weighted()).fuse(chosen).scores
    found = best(np.arange(len(scores)), scores, len(scores), np.ndarray.tolist)
    if len(chosen) > 1:
        return found
    ranked = chosen[0].ranks[found.docnums] > 0
    return Ranking(found.docnums[ranked], found.scores[ranked])


def _restaged(ranking: Ranking, stages: Sequence[Scoring], scores: Floats) -> Ranking:
    """Return an order after rerank stages: what the engine does with the same scores.

    ``scores``: float32 (stages, candidates).
    """
    for stage, own in zip(stages, scores, strict=True):
        head, tail = ranking.docnums[: stage.top], ranking.docnums[stage.top :]
        if not len(head) or not stage.weight > 0:
            continue
        mixed = interpolated(stage.weight, own[head], ranking.scores[: stage.top])
        top = best(head, mixed, len(head), np.ndarray.tolist)
        below = lowered(ranking.scores[stage.top :], float(top.scores[-1]))
        ranking = Ranking(np.concatenate((top.docnums, tail)), np.concatenate((top.scores, below)))
    return ranking


def _places(ranking: Ranking, relevant: NDArray[np.int64], count: int) -> NDArray[np.int32]:
    """Return the places of relevant candidates, from 1; `ABSENT` where the ranking lacks them."""
    places = np.full(count, ABSENT, np.int32)
    places[ranking.docnums] = np.arange(1, len(ranking) + 1)
    found: NDArray[np.int32] = places[relevant]
    return found


def _check_pointwise(
    index: HybridIndex,
    query: str | Query,
    ids: Sequence[str],
    stages: Sequence[Scoring],
    said: Sequence[Doubles],
) -> None:
    """Refuse models that order a list: a part of the list must get the scores that it got in the whole."""
    part = slice(0, max(1, len(ids) // 2))
    again = complete_stages(index, [query], [ids[part]], stages)[0]
    for stage, whole, alone in zip(stages, said, again, strict=True):
        spread = float(whole.max() - whole.min())
        if len(whole) and np.abs(whole[part] - alone).max() > DRIFT * spread:
            raise InputError(
                f"{stage.name} scores a document by what else is in the list, as models that order lists do; "
                "its top and weight cannot be tuned: tune a pipeline without it, or pass Grid(tops=())"
            )
