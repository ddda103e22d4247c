"""Searching with a pipeline that may have fewer branches than the queries have vectors."""

from __future__ import annotations

import hybrid
from hybrid.evaluation import Run


def searched(index, pipeline, queries):
    """Return the best 10 of a pipeline as a run, and whether each is proven to be right."""
    taken = {branch.name for branch in pipeline.branches}
    asked = [
        hybrid.Query(q.text, {name: vector for name, vector in q.vectors.items() if name in taken})
        for _, q in queries
    ]
    with hybrid.open(index.path, pipeline=pipeline) as reader:
        results = reader.search_many(asked, 10)
    run = {qid: {h.id: h.score for h in r} for (qid, _), r in zip(queries, results, strict=True)}
    return Run("searched", run), all(result.exact for result in results)
