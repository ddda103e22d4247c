"""Choose weights where nothing is judged: on queries made from the collection itself."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from hybrid.engine import HybridIndex, clone
from hybrid.errors import InputError
from hybrid.evaluation.clozes import make_clozes
from hybrid.evaluation.scores import Scores
from hybrid.evaluation.settings import Grid, Setting, settings
from hybrid.fusion import TM2C2, Weighted
from hybrid.pipeline import Pipeline
from hybrid.types import Doubles

COUNT = 500
LEAST = 50
SMALLEST = 0.05
"""A branch of less weight than this is left out."""

_BAGS = 200


@dataclass(frozen=True, slots=True)
class Unjudged:
    """A recipe that no judgement was needed for.

    ``queries``: how many were made. ``alone``: each branch's mean nDCG@10 on them, ``fused`` that of the
    recipe's weights. The figures are for choosing: real queries are harder or easier, and use other
    words. ``weights``: by branch, 0 for those left out.
    """

    pipeline: Pipeline
    sentence: str
    queries: int
    alone: Mapping[str, float]
    fused: float
    weights: Mapping[str, float]


def tune_unjudged(index: HybridIndex, *, count: int = COUNT, seed: int = 0) -> Unjudged:
    """Choose the branches' weights on queries made from the collection (`make_clozes`).

    The documents that the queries are taken from are encoded again without them, in a copy of the index
    beside it, which is then deleted; the index itself is not touched. The weights are those of the best
    setting, averaged over resampled queries (bagging: Breiman 1996), because the best setting alone
    jumps. nDCG@10; TM2C2 normalises.

    Raises:
        InputError: too few documents have a piece that can be asked for, or the count is not accepted.
        EncoderError: a branch has vectors that no model can make again.
        StorageError: there is no room for the copy.
    """
    if not isinstance(count, int) or isinstance(count, bool) or count < LEAST:
        raise InputError(f"count is {count!r}; give a whole number of at least {LEAST}")
    pipeline = index.pipeline
    scores = _scores(index, count, seed)
    grid = Grid(normalizers=(TM2C2(),), rrf_k=(), k1=(), b=())
    tried = settings(pipeline, pipeline.branches, grid)
    table = scores.measure(tried, "nDCG@10")
    weights = _weights(pipeline, tried, table, seed)
    chosen = tuple(branch for branch in pipeline.branches if weights[branch.name] > 0)
    fusion = Weighted(weights={b.name: weights[b.name] for b in chosen}, normalizer=TM2C2())
    names = [branch.name for branch in pipeline.branches]
    alone = dict(zip(names, table[: len(names)].mean(axis=1).tolist(), strict=True))
    if len(chosen) == 1:
        tuned = replace(pipeline, branches=chosen, fusion=Weighted())
        fused, sentence = alone[chosen[0].name], f"Keep {chosen[0].name} alone"
    else:
        tuned = replace(pipeline, branches=chosen, fusion=fusion)
        positions = tuple(names.index(branch.name) for branch in chosen)
        fused = float(scores.measure([Setting(positions, fusion, "weighted")], "nDCG@10").mean())
        sentence = f"Ship {fusion!r}"
    asked = len(scores.queries)
    sentence += f": chosen on {asked} queries made from the collection; judge real ones to be sure."
    return Unjudged(tuned, sentence, asked, alone, fused, weights)


def _scores(index: HybridIndex, count: int, seed: int) -> Scores:
    """Return the completed scores of the made queries over a collection that lacks their pieces."""
    clozes = make_clozes(index.documents(), count, seed)
    if len(clozes) < LEAST:
        raise InputError(
            f"only {len(clozes)} documents have a sentence of 4 to 30 words besides the rest of their "
            f"text; at least {LEAST} are needed: judge queries, and give them to tune"
        )
    beside = index.path.resolve().parent
    with (
        tempfile.TemporaryDirectory(
            prefix="tuning-", dir=beside if os.access(beside, os.W_OK) else None
        ) as folder,
        clone(index, Path(folder) / "index") as copy,
    ):
        copy.update([cloze.document for cloze in clozes])
        queries = [(cloze.document.id, cloze.query) for cloze in clozes]
        qrels = {cloze.document.id: {cloze.document.id: 1} for cloze in clozes}
        return Scores.of(copy, queries, qrels, index.pipeline.branches)


def _weights(pipeline: Pipeline, tried: list[Setting], table: Doubles, seed: int) -> dict[str, float]:
    """Return each branch's weight: of the best setting, averaged over resampled queries."""
    names = [branch.name for branch in pipeline.branches]
    shares = np.array([_share(setting, names) for setting in tried])
    random, total = np.random.default_rng(seed), np.zeros(len(names))
    for _ in range(_BAGS):
        drawn = random.integers(0, table.shape[1], table.shape[1])
        total += shares[int(table[:, drawn].mean(axis=1).argmax())]
    mean = total / _BAGS
    mean[mean < SMALLEST] = 0
    return {name: round(float(share), 3) for name, share in zip(names, mean / mean.sum(), strict=True)}


def _share(setting: Setting, names: list[str]) -> list[float]:
    if isinstance(setting.fusion, Weighted) and setting.fusion.weights is not None:
        return [setting.fusion.weights[name] for name in names]
    return [float(n in setting.columns) for n in range(len(names))]
