"""Many queries at once against one snapshot."""

from __future__ import annotations

from collections.abc import Sequence

from hybrid.index.sparse.compiled import best_of_each
from hybrid.index.sparse.interpreted import SECONDS_PER_POSTING
from hybrid.index.sparse.scorer import SparseScorer
from hybrid.kernels.compiling import compiling_pays
from hybrid.ranking import Ranking, merge

PIECE = 1 << 22
"""How many results are held at a time for one segment."""


def top_of_each(scorers: Sequence[SparseScorer], k: int) -> list[Ranking]:
    """Return what ``top(k)`` of each scorer does; all have one snapshot and one mask."""
    expected = SECONDS_PER_POSTING * sum(scorer.postings_read() for scorer in scorers)
    if len(scorers) < 2 or not all(scorer.exact for scorer in scorers) or not compiling_pays(expected):
        return [scorer.top(k) for scorer in scorers]
    step = max(1, PIECE // max(1, k))
    return [
        ranking
        for start in range(0, len(scorers), step)
        for ranking in _top_of_each(scorers[start : start + step], k)
    ]


def _top_of_each(scorers: Sequence[SparseScorer], k: int) -> list[Ranking]:
    rankings: list[list[Ranking]] = [[] for _ in scorers]
    snapshot = scorers[0].snapshot
    for view in snapshot.segments:
        asking = [(n, query) for n, each in enumerate(scorers) if (query := each.query(view)) is not None]
        if asking:
            found = best_of_each([query for _, query in asking], min(k, view.size))
            for (n, _), (ordinals, scores) in zip(asking, found, strict=True):
                rankings[n].append(Ranking(ordinals + view.base, scores))
    return [merge(each, k, snapshot.tie_keys) for each in rankings]
