"""The rerank stages of a query: rescoring the best, and interpolating with what came before."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hybrid.errors import EncoderError, PipelineError
from hybrid.index import Snapshot
from hybrid.ranking import Ranking, best
from hybrid.rerankers import Rerank, load
from hybrid.rerankers import Stage as Spec
from hybrid.types import Docnums, Doubles, Floats, Reranker, TermMatch


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """What a stage did: the order before and after, and its scores of the first ``top``.

    ``notes``: where the scores are not what was asked for.
    """

    spec: Spec
    before: Ranking
    after: Ranking
    scores: Mapping[int, float]
    notes: tuple[str, ...] = ()
    matches: Callable[[int], Sequence[TermMatch]] = lambda docnum: ()


def rerank(
    spec: Spec,
    judge: Callable[[Docnums], tuple[Sequence[float] | Floats, Sequence[str]]],
    ranking: Ranking,
    snapshot: Snapshot,
) -> Stage:
    """Rescore the first ``spec.top`` documents of a ranking; the others stay below, in their order.

    ``judge`` gives scores and notes.

    Raises:
        EncoderError: ``judge`` returned something other than one finite score per document.
    """
    head, tail = ranking.docnums[: spec.top], ranking.docnums[spec.top :]
    if not len(head):
        return Stage(spec, ranking, ranking, {})
    given, notes = judge(head)
    scores = _scores(spec, given, len(head))
    after = ranking
    if spec.weight > 0:
        mixed = interpolated(spec.weight, scores, ranking.scores[: spec.top])
        top = best(head, mixed, len(head), snapshot.tie_keys)
        below = lowered(ranking.scores[spec.top :], float(top.scores[-1]))
        after = Ranking(np.concatenate((top.docnums, tail)), np.concatenate((top.scores, below)))
    return Stage(spec, ranking, after, dict(zip(head.tolist(), scores.tolist(), strict=True)), tuple(notes))


def find(spec: Rerank, rerankers: Mapping[str, Reranker]) -> Reranker:
    """Return the reranker that a stage names: one that was handed in, or the registry's.

    Raises:
        PipelineError: there is none of that name.
    """
    if spec.model in rerankers:
        return rerankers[spec.model]
    try:
        return load(spec.model)
    except EncoderError as error:
        raise PipelineError(
            f"the pipeline reranks with {spec.model!r}, which was not handed in "
            f"(rerankers={{{spec.model!r}: ...}} of hybrid.create and hybrid.open) and cannot be loaded: "
            f"{error}"
        ) from error


def interpolated(weight: float, scores: Floats, before: Floats) -> Floats:
    """Mix a stage's scores with those before it, which stand in the order before it."""
    if weight == 1:
        return scores
    return (weight * min_max(scores) + (1 - weight) * min_max(before)).astype(np.float32)


def lowered(scores: Floats, limit: float) -> Floats:
    """Shift the scores of documents that a stage did not see below the lowest that it gave.

    They are of another scale; only their order, and the distances between them, mean something.
    Scores that are below the limit already stay as they are.
    """
    if not len(scores) or scores[0] < limit:
        return scores
    below = float(np.nextafter(np.float32(limit), np.float32(-np.inf)))
    return (scores.astype(np.float64) - float(scores[0]) + below).astype(np.float32)


def min_max(scores: NDArray[np.floating]) -> Doubles:
    """Map scores to [0, 1] by their minimum and maximum; equal scores all become 0."""
    low, high = float(scores.min()), float(scores.max())
    if high == low:
        return np.zeros(len(scores))
    return (scores.astype(np.float64) - low) / (high - low)


def _scores(spec: Spec, scores: Sequence[float] | Floats, n: int) -> Floats:
    with np.errstate(over="ignore"):  # what is too large for float32 becomes infinite, and is refused
        array = np.asarray(scores, np.float32)
    if array.shape != (n,) or not np.isfinite(array).all():
        raise EncoderError(
            f"{spec.name} returned scores of shape {array.shape} for {n} documents, or scores "
            "that are not finite; it must return one finite number per document"
        )
    return array
