"""Completed scores: what every branch says of every candidate, before any fusion.

Fusing is cheap and searching is not. Whoever wants to try many fusions asks for the columns once
(`hybrid.evaluation` tunes with them).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hybrid.branches import Branch
from hybrid.branches.over_passages import OverPassages
from hybrid.engine.candidates import Source, summary
from hybrid.engine.checks import checked_k, checked_list, checked_query, cleaned
from hybrid.engine.index import HybridIndex
from hybrid.engine.rerank import find
from hybrid.errors import PipelineError
from hybrid.fusion import Column
from hybrid.index import Mask, Snapshot
from hybrid.ranking import Ranking
from hybrid.rerankers import MaxSim, Rerank
from hybrid.threads import parallel
from hybrid.types import Docnums, Doubles, Query

TOP = 1000


@dataclass(frozen=True, slots=True, eq=False)
class Completed:
    """One query's candidates.

    ``ids``: ascending. ``columns``: one for each branch asked, over the ids in their order, with true
    scores, true ranks, and what any normaliser reads. ``bounds``: for each branch the score of the last
    document that it listed, -inf if it listed all it has: no document outside scores more.
    """

    ids: list[str]
    columns: tuple[Column, ...]
    bounds: tuple[float, ...]


def complete(
    index: HybridIndex,
    queries: Sequence[str | Query],
    branches: Sequence[Branch] | None = None,
    depth: int = 200,
    where: Mapping[str, Any] | None = None,
) -> list[Completed]:
    """Return every query's candidates: the union of the branches' best ``depth``, scored by each branch.

    ``branches``: the pipeline's, or others that the index can serve; several may have one name, such
    as BM25 with other parameters. Normalisers may read up to `TOP` scores. Queries are completed side
    by side, over one snapshot; ``where`` filters by metadata, as in a search.

    Raises:
        InputError: a query, the depth or the filter is wrong.
        BranchError: a branch failed.
    """
    depth = checked_k(depth, "depth")
    given = checked_list("queries", queries)
    index._allowed(given, depth, where)
    asked = [checked_query(query, index.pipeline) for query in given]
    pipeline = index.pipeline
    chosen = tuple(map(pipeline.over, pipeline.branches if branches is None else branches))
    snapshot, encoders = index._store.snapshot, index._encoders.together(chosen)
    encoded: dict[tuple[Any, ...], list[Any]] = {}
    for branch in chosen:
        if _way(branch) not in encoded:
            encoded[_way(branch)] = branch.encode_queries(asked, encoders)
    mask = snapshot.mask(where)

    def one(n: int) -> Completed:
        sources = [
            Source(branch.name, branch.kind, branch.scorer(snapshot, encoded[_way(branch)][n], mask))
            for branch in chosen
        ]
        return _complete(sources, snapshot, mask, depth)

    return parallel(one, range(len(asked)))


def complete_stages(
    index: HybridIndex,
    queries: Sequence[str | Query],
    ids: Sequence[Sequence[str]],
    stages: Sequence[Rerank | MaxSim],
) -> list[list[Doubles]]:
    """Return what rerank stages say of each query's documents: for each query and stage, float64 (ids,).

    ``ids``: for each query the documents to be scored, all at once.

    Raises:
        PipelineError: a stage names a reranker that is not there, or would read passages.
        NotFoundError: an id is not in the index.
        EncoderError: a model failed.
    """
    asked = [checked_query(query, index.pipeline) for query in checked_list("queries", queries)]
    pipeline, snapshot, mask = index.pipeline, index._store.snapshot, index._store.snapshot.mask(None)
    docnums = [snapshot.find(list(wanted)) for wanted in ids]
    found: list[list[Doubles]] = [[] for _ in asked]
    for stage in stages:
        if isinstance(stage, MaxSim):
            branch = pipeline.over(pipeline.tokens(stage))
            encoded = branch.encode_queries(asked, index._encoders.together((branch,)))
            for n, tokens in enumerate(encoded):
                scores = branch.scorer(snapshot, tokens, mask).scores(docnums[n])
                found[n].append(scores.astype(np.float64))
            continue
        if any(isinstance(over, OverPassages) and not over.whole(snapshot) for over in pipeline.searched):
            raise PipelineError(
                f"the stage {stage.name} reads of each document the passage that the branches put first, so "
                "its scores cannot be known before the fusion; tune without it, or without passages"
            )
        reranker = find(stage, index._rerankers)
        for n, query in enumerate(asked):
            seen = cleaned(snapshot.documents(docnums[n]), pipeline.cleaning)
            found[n].append(np.asarray(reranker.score(query.text, seen), np.float64))
    return found


def _way(branch: Branch) -> tuple[Any, ...]:
    """Return what decides how a branch encodes a query: its stored settings, not its parameters."""
    return (branch.name, *sorted((key, repr(value)) for key, value in branch.stored().items()))


def _complete(sources: Sequence[Source], snapshot: Snapshot, mask: Mask, depth: int) -> Completed:
    deep = max(depth, TOP)
    lists = [source.scorer.top(deep) for source in sources]
    docnums = np.unique(np.concatenate([found.docnums[:depth] for found in lists]))
    ids = snapshot.ids(docnums)
    order = sorted(range(len(ids)), key=ids.__getitem__)
    docnums = docnums[order]
    columns = tuple(
        _column(source, found, docnums, deep) for source, found in zip(sources, lists, strict=True)
    )
    bounds = tuple(float(found.scores[depth - 1]) if len(found) > depth else -np.inf for found in lists)
    return Completed([ids[n] for n in order], columns, bounds)


def _column(source: Source, found: Ranking, docnums: Docnums, deep: int) -> Column:
    """Return a branch's true scores and ranks of documents in any order."""
    raw = source.scorer.scores(docnums).astype(np.float64)
    ranks = np.zeros(len(docnums), np.int64)
    order = np.argsort(found.docnums)
    listed = found.docnums[order]
    at = np.minimum(np.searchsorted(listed, docnums), max(len(listed) - 1, 0))
    known = listed[at] == docnums if len(listed) else np.zeros(len(docnums), np.bool_)
    ranks[known] = order[at[known]] + 1
    whole = len(found) < deep or len(found) >= source.scorer.eligible
    if not whole and not known.all():
        ranks[~known] = source.scorer.ranks(docnums[~known])
    return Column(source.name, source.kind, raw, ranks, summary(source, found, TOP, minimum=True))
