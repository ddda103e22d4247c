"""A reranker over another library's list of documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hybrid.errors import EncoderError, InputError
from hybrid.rerankers import load
from hybrid.types import Document, JudgingReranker, Reranker


@dataclass(frozen=True, slots=True)
class Judged:
    """A position in the list that was given, its score, and what the reranker notes of its judgement."""

    position: int
    score: float
    notes: tuple[str, ...]


def chosen(model: str, reranker: Reranker | None) -> Reranker:
    """Return the reranker handed in, or the one that a name stands for (`hybrid.load_reranker`)."""
    return load(model) if reranker is None else reranker


def check_top(top: int | None) -> None:
    """Refuse what is no number of documents."""
    if top is not None and (not isinstance(top, int) or isinstance(top, bool) or top < 1):
        raise InputError(
            f"the number of documents to keep is {top!r}; give a whole number of at least 1, or None"
        )


def judged(reranker: Reranker, query: str, documents: Sequence[Document], top: int | None) -> list[Judged]:
    """Return the best ``top`` documents (None: all), best first; what scores the same keeps its order.

    Raises:
        InputError: ``top`` is no number of documents.
        EncoderError: the reranker does not give one finite score for each document.
    """
    check_top(top)
    if not documents:
        return []
    notes: tuple[str, ...] = ()
    if isinstance(reranker, JudgingReranker):
        given, notes = reranker.judge(query, documents)
    else:
        given = reranker.score(query, documents)
    scores = np.asarray(given, np.float32)
    if scores.shape != (len(documents),) or not np.isfinite(scores).all():
        raise EncoderError(
            f"the reranker {reranker!r} gave scores of shape {scores.shape} for {len(documents)} documents, "
            "or some that are not finite; one finite score for each is needed"
        )
    order = np.argsort(-scores, kind="stable")[:top].tolist()
    return [Judged(position, float(scores[position]), notes) for position in order]


def seen(metadata: Mapping[str, Any], key: str | None, whose: str | None) -> Mapping[str, Any]:
    """Return the details of a search that a document has under ``key``; none if it has none.

    Raises:
        InputError: it has something else there.
    """
    found = {} if key is None else metadata.get(key, {})
    if not isinstance(found, Mapping):
        raise InputError(
            f"document {whose!r} has metadata of its own under {key!r}: {found!r}; choose another key with "
            "details='…', or None for no details"
        )
    return found


def rejudged(
    metadata: Mapping[str, Any], key: str, model: str, judgement: Judged, rank: int
) -> dict[str, Any]:
    """Return metadata with the new rank and score among the details under ``key``; others stay."""
    before, stage = metadata.get(key, {}), f"rerank:{model}"
    scores = {**before.get("scores", {}), stage: judgement.score}
    after = {**before, "rank": rank, "score": judgement.score, "scores": scores}
    if judgement.notes:
        after["notes"] = {**before.get("notes", {}), stage: list(judgement.notes)}
    return {**metadata, key: after}
