"""Stages that ask no model: what is kept of the list, and in which order."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from hybrid.engine.rerank import Stage, lowered, min_max
from hybrid.index import Snapshot
from hybrid.kernels.mmr import mmr
from hybrid.ranking import Ranking
from hybrid.rerankers import MMR, Parents
from hybrid.types import Docnums, Document, Floats


def deduplicated(spec: Parents, ranking: Ranking, snapshot: Snapshot) -> Stage:
    """Leave out what comes after the first ``spec.most`` documents of its parent."""
    seen: Counter[str] = Counter()
    kept = np.zeros(len(ranking), np.bool_)
    for n, document in enumerate(snapshot.documents(ranking.docnums)):
        parent = parent_of(document, spec.field)
        seen[parent] += 1
        kept[n] = seen[parent] <= spec.most
    return Stage(spec, ranking, Ranking(ranking.docnums[kept], ranking.scores[kept]), {})


def parent_of(document: Document, field: str) -> str:
    """Return the parent of a document, spelt as JSON: without one, or with null, it is its own."""
    parent = document.metadata.get(field)
    return json.dumps(document.id if parent is None else parent, sort_keys=True)


def too_few(stages: Sequence[Stage], k: int) -> bool:
    """Whether documents that were left out are lacking, in a later stage or among the best ``k``."""
    return any(
        len(stage.after) < max([k, *(later.spec.top for later in stages[n + 1 :])])
        for n, stage in enumerate(stages)
        if isinstance(stage.spec, Parents)
    )


def diversified(
    spec: MMR, ranking: Ranking, vectors: Callable[[Docnums], Floats], snapshot: Snapshot
) -> Stage:
    """Reorder the first ``spec.top`` by maximal marginal relevance; the others stay below, in their order."""
    head, tail = ranking.first(spec.top), ranking.docnums[spec.top :]
    if not len(head):
        return Stage(spec, ranking, ranking, {})
    keys = snapshot.tie_keys(head.docnums)
    by_id = np.array(sorted(range(len(head)), key=keys.__getitem__), np.int64)  # the first wins a tie
    docnums = head.docnums[by_id]
    order, values = mmr(min_max(head.scores)[by_id], vectors(docnums), spec.weight)
    below = lowered(ranking.scores[spec.top :], float(values[-1]))
    after = Ranking(np.concatenate((docnums[order], tail)), np.concatenate((values, below)))
    return Stage(spec, ranking, after, dict(zip(docnums[order].tolist(), values.tolist(), strict=True)))
