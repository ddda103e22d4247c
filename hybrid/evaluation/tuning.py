"""Tune a pipeline on judged queries: a recipe, a sentence, and what both rest on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from hybrid.branches import BM25, Branch
from hybrid.engine import HybridIndex
from hybrid.evaluation.comparing import Comparison, compare
from hybrid.evaluation.measures import Evaluation, Qrels
from hybrid.evaluation.placing import PlaceMeasure
from hybrid.evaluation.reranking import measure_reranked, reranked
from hybrid.evaluation.resampling import Interval, bootstrap_interval
from hybrid.evaluation.scores import Scores
from hybrid.evaluation.selection import Selection, select
from hybrid.evaluation.settings import FAMILIES, Grid, Setting, settings, variants
from hybrid.pipeline import Pipeline
from hybrid.types import Doubles, Query


@dataclass(frozen=True, slots=True)
class FamilyResult:
    """One kind of setting: how many were tried, and the held-out mean of the best."""

    name: str
    settings: int
    held_out: float


@dataclass(frozen=True, slots=True, eq=False)
class Tuned:
    """What to ship, and why.

    ``pipeline``: the recipe. ``sentence``: the same in words. ``held_out``: the mean, with its 95%
    ``interval``, of settings chosen by the same procedure, each on queries that it was not chosen on;
    ``fitted``: the recipe's mean on all the queries, which flatters it. ``best_branch``: the best single
    branch on all the queries, as it is stored, and its mean. ``gain``: held out, against that branch.
    ``families``: what else was tried.
    """

    pipeline: Pipeline
    sentence: str
    measure: str
    queries: int
    settings: int
    held_out: float
    interval: Interval
    fitted: float
    best_branch: str
    best_branch_mean: float
    gain: Comparison | None
    families: tuple[FamilyResult, ...]


def tune(
    index: HybridIndex,
    queries: Sequence[tuple[str, str | Query]],
    qrels: Qrels,
    measure: str = "nDCG@10",
    *,
    grid: Grid | None = None,
    depth: int = 200,
    folds: int = 5,
    seed: int = 0,
) -> Tuned:
    """Choose branches, weights, normaliser, RRF's k, BM25's k1 and b, and rerank stages' tops and weights.

    Every branch is asked once for every query, and every candidate gets every branch's true score; the
    settings are then array work (`Scores`). The choice is made by nested cross-validation with the
    one-standard-error rule (`select`). A fusion is recommended only if its held-out gain over the best
    single branch is significant (paired randomisation test, p < 0.05); otherwise that branch is. So
    are rerank stages: those of the pipeline, if all are `Rerank` or `MaxSim`, score once every document that
    may come before them (`measure_reranked`). Where one is of another kind, all are kept, unmeasured.

    ``queries``: id and text. ``depth``: how many documents of each branch become candidates.

    Raises:
        InputError: the measure, the grid or a number is not accepted, or too few queries are judged.
        BranchError: a branch failed.
    """
    PlaceMeasure.parse(measure)
    chosen = grid or Grid()
    branches = variants(index.pipeline, chosen)
    tried = settings(index.pipeline, branches, chosen)
    scores = Scores.of(index, queries, qrels, branches, depth)
    table = scores.measure(tried, measure)
    staged = reranked(index.pipeline, tried, chosen)
    if staged:
        texts = dict(queries)
        asked = [texts[qid] for qid in scores.queries]
        table = np.concatenate([table, measure_reranked(index, asked, scores, staged, measure)])
        tried += staged
    names = [name for name in FAMILIES if any(setting.family == name for setting in tried)]
    members = [[n for n, setting in enumerate(tried) if setting.family == name] for name in names]
    found = select(table, members, folds, seed)
    base = replace(index.pipeline, rerank=()) if staged else index.pipeline
    return _report(base, branches, tried, names, members, table, found, scores.queries, measure)


def _report(
    base: Pipeline,
    branches: Sequence[Branch],
    tried: Sequence[Setting],
    names: Sequence[str],
    members: Sequence[Sequence[int]],
    table: Doubles,
    found: Selection,
    queries: tuple[str, ...],
    measure: str,
) -> Tuned:
    """Turn a selection into a recommendation."""
    means = table.mean(axis=1)
    single = int(means[: len(base.branches)].argmax())
    best_branch = branches[tried[single].columns[0]].name
    gain = _gain(found.held_out, table[single], queries, best_branch, measure)
    fusing = tried[found.setting].fusion is not None or bool(tried[found.setting].rerank)
    kept = fusing and gain is not None and not (gain.difference > 0 and gain.p_randomisation < 0.05)
    at = single if kept else found.setting
    pipeline = tried[at].pipeline(base, branches)
    held_out = table[single] if kept else found.held_out
    families = [
        FamilyResult(name, len(own), float(values.mean()))
        for name, own, values in zip(names, members, found.families, strict=True)
    ]
    return Tuned(
        pipeline=pipeline,
        sentence=_sentence(pipeline, gain, best_branch, fusing, kept),
        measure=measure,
        queries=len(queries),
        settings=len(tried),
        held_out=float(held_out.mean()),
        interval=bootstrap_interval(held_out),
        fitted=float(means[at]),
        best_branch=best_branch,
        best_branch_mean=float(means[single]),
        gain=gain,
        families=tuple(families),
    )


def _gain(
    held_out: Doubles, branch: Doubles, queries: tuple[str, ...], name: str, measure: str
) -> Comparison | None:
    """Compare what was chosen, held out, with the best single branch; None if it is that branch."""
    if np.array_equal(held_out, branch):
        return None
    ours, baseline = (
        Evaluation(called, queries, {measure: values}, (), 0)
        for called, values in (("tuned", held_out), (name, branch))
    )
    return compare([ours, baseline], [measure], baseline=name)[0]


def _sentence(pipeline: Pipeline, gain: Comparison | None, best_branch: str, fusing: bool, kept: bool) -> str:
    """Say what to ship and why."""
    if gain is None:
        return f"Keep {best_branch} alone: nothing that was tried is better on queries that had no say in it."
    figures = (
        f"{gain.difference:+.4f} {gain.measure} held out against {gain.baseline} alone, 95% interval "
        f"[{gain.interval.low:+.4f}, {gain.interval.high:+.4f}], p = {gain.p_randomisation:.2g}, "
        f"{gain.wins} queries better and {gain.losses} worse"
    )
    if kept:
        return f"Keep {best_branch} alone: fusion's gain is not significant ({figures})."
    if fusing:
        return f"Ship {_ways(pipeline)}{_bm25(pipeline)}{_stages(pipeline)}: {figures}."
    alone = pipeline.branches[0].name
    return (
        f"Ship {alone} alone{_bm25(pipeline)}: no fusion is better than that by more than a standard error "
        f"({figures})."
    )


def _bm25(pipeline: Pipeline) -> str:
    """Return the parameters of the BM25 branches."""
    found = [f"{b.name} k1={b.k1:g} b={b.b:g}" for b in pipeline.branches if isinstance(b, BM25)]
    return f" with {', '.join(found)}" if found else ""


def _ways(pipeline: Pipeline) -> str:
    """Return the fusion, or the one branch."""
    return repr(pipeline.fusion) if len(pipeline.branches) > 1 else pipeline.branches[0].name


def _stages(pipeline: Pipeline) -> str:
    """Return the rerank stages."""
    found = [f"{s.name} top={s.top} weight={s.weight:g}" for s in pipeline.rerank if hasattr(s, "weight")]
    return f", reranked by {', then '.join(found)}" if found else ""
