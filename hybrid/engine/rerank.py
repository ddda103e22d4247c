"""The rerank stages of a query: rescoring the best, and interpolating with what came before."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hybrid.engine.expansion import Adapted, adapt
from hybrid.errors import EncoderError, PipelineError
from hybrid.index import Snapshot
from hybrid.ranking import Ranking, best
from hybrid.rerankers import Neighbours, Rerank, Scoring, load
from hybrid.rerankers import Stage as Spec
from hybrid.types import Docnums, Doubles, Floats, Reranker, TermMatch

Judge = Callable[[Docnums], tuple[Sequence[float] | Floats, Sequence[str]]]


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """What a stage did: the order before and after, and its scores of the documents that it rescored.

    ``notes``: where the scores are not what was asked for. ``sources``: of documents that came in as a
    neighbour, the one that brought them; they are not in ``before``.
    """

    spec: Spec
    before: Ranking
    after: Ranking
    scores: Mapping[int, float]
    notes: tuple[str, ...] = ()
    sources: Mapping[int, int] = field(default_factory=dict)
    matches: Callable[[int], Sequence[TermMatch]] = lambda docnum: ()


def rerank(spec: Scoring, judge: Judge, ranking: Ranking, snapshot: Snapshot) -> Stage:
    """Rescore the first ``spec.top`` documents of a ranking; the others stay below, in their order.

    ``judge`` gives scores and notes.

    Raises:
        EncoderError: ``judge`` returned something other than one finite score per document.
    """
    head = ranking.docnums[: spec.top]
    if not len(head):
        return Stage(spec, ranking, ranking, {})
    scores, notes = checked(spec, judge)(head)
    return rescored(spec, ranking, Adapted(head, scores, notes, {}), ranking, snapshot)


def expand(
    spec: Scoring,
    by: Neighbours,
    judge: Judge,
    neighbours: Callable[[Docnums], list[Docnums]],
    fused: Callable[[Docnums], Floats],
    ranking: Ranking,
    snapshot: Snapshot,
) -> Stage:
    """Rescore ``spec.top`` documents, of a ranking and of their neighbours; the others stay below.

    ``fused`` gives the fused scores of documents that come in; they stand below the ranking before.

    Raises:
        EncoderError: as `rerank`.
    """
    if not len(ranking):
        return Stage(spec, ranking, ranking, {})
    found = adapt(ranking.docnums, checked(spec, judge), neighbours, spec.top, by.batch, snapshot.tie_keys)
    joined = ranking
    if found.sources:
        came = np.array(list(found.sources), np.int64)
        extra = best(came, fused(came), len(came), snapshot.tie_keys)
        below = lowered(extra.scores, float(ranking.scores[-1]))
        joined = Ranking(
            np.concatenate((ranking.docnums, extra.docnums)), np.concatenate((ranking.scores, below))
        )
    return rescored(spec, ranking, found, joined, snapshot)


def rescored(spec: Scoring, before: Ranking, found: Adapted, joined: Ranking, snapshot: Snapshot) -> Stage:
    """Interpolate, and order what was rescored above the rest; ``joined`` is ``before`` with what came in."""
    after = before
    if spec.weight > 0:
        places = {docnum: n for n, docnum in enumerate(joined.docnums.tolist())}
        at = np.array([places[docnum] for docnum in found.docnums.tolist()], np.int64)
        mixed = interpolated(spec.weight, found.scores, joined.scores[at])
        top = best(found.docnums, mixed, len(at), snapshot.tie_keys)
        rest = np.ones(len(joined), np.bool_)
        rest[at] = False
        below = lowered(joined.scores[rest], float(top.scores[-1]))
        after = Ranking(
            np.concatenate((top.docnums, joined.docnums[rest])), np.concatenate((top.scores, below))
        )
    scores = dict(zip(found.docnums.tolist(), found.scores.tolist(), strict=True))
    return Stage(spec, before, after, scores, found.notes, found.sources)


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

    They are of another scale; only their order, and the distances between them, mean something. What
    differed still does, be it by one step of float32. Scores below the limit stay as they are.
    """
    if not len(scores) or scores[0] < limit:
        return scores
    below = np.nextafter(np.float32(limit), np.float32(-np.inf))
    shifted = (scores.astype(np.float64) - float(scores[0]) + float(below)).astype(np.float32)
    for n in np.flatnonzero(np.diff(scores)).tolist():
        if shifted[n + 1] >= shifted[n]:
            shifted[n + 1 :] = np.minimum(shifted[n + 1 :], np.nextafter(shifted[n], np.float32(-np.inf)))
    return shifted


def min_max(scores: NDArray[np.floating]) -> Doubles:
    """Map scores to [0, 1] by their minimum and maximum; equal scores all become 0."""
    low, high = float(scores.min()), float(scores.max())
    if high == low:
        return np.zeros(len(scores))
    return (scores.astype(np.float64) - low) / (high - low)


def checked(spec: Scoring, judge: Judge) -> Callable[[Docnums], tuple[Floats, tuple[str, ...]]]:
    """Hold ``judge`` to one finite score per document; they become float32."""

    def judged(docnums: Docnums) -> tuple[Floats, tuple[str, ...]]:
        given, notes = judge(docnums)
        with np.errstate(over="ignore"):  # what is too large for float32 becomes infinite, and is refused
            array = np.asarray(given, np.float32)
        if array.shape != docnums.shape or not np.isfinite(array).all():
            raise EncoderError(
                f"{spec.name} returned scores of shape {array.shape} for {len(docnums)} documents, or scores "
                "that are not finite; it must return one finite number per document"
            )
        return array, tuple(notes)

    return judged
