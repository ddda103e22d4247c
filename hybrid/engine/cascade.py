"""What each kind of rerank stage does to the list that it gets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from hybrid.branches import Branch, Encoders
from hybrid.branches.neighbours import as_queries, beginnings, stored_vectors
from hybrid.engine.candidates import Source
from hybrid.engine.rerank import Judge, Stage, expand, find, rerank
from hybrid.engine.selection import deduplicated, diversified
from hybrid.errors import PipelineError
from hybrid.index import Mask, Snapshot
from hybrid.index.memo import memoized
from hybrid.pipeline import Pipeline
from hybrid.ranking import Ranking
from hybrid.rerankers import MMR, MaxSim, Neighbours, Parents, Rerank, Scoring
from hybrid.rerankers import Stage as Spec
from hybrid.types import Docnums, Document, Floats, JudgingReranker, Query, Reranker

Judgement = tuple[Sequence[float] | Floats, Sequence[str]]

REMEMBERED = 1 << 16
"""How many documents' neighbours are kept for a snapshot at most."""


class Cascade:
    """The rerank stages of one query against one snapshot.

    What a reranker said of a list of documents is remembered: explaining a result asks no model again.
    ``source`` gives the scorer of a store, ``read`` documents as rerankers see them. ``filtered``: whether
    the search has a filter; where it has none, the neighbours of a document are remembered with the snapshot.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        pipeline: Pipeline,
        query: Query,
        *,
        encoders: Encoders,
        rerankers: Mapping[str, Reranker],
        source: Callable[[Branch, Mask], Source],
        read: Callable[[Docnums], Sequence[Document]],
        filtered: bool,
    ) -> None:
        self._snapshot, self._pipeline, self._query = snapshot, pipeline, query
        self._encoders, self._rerankers = encoders, rerankers
        self._source, self._read, self._filtered = source, read, filtered
        self._judged: dict[tuple[str, bytes], Judgement] = {}

    def run(self, spec: Spec, ranking: Ranking, mask: Mask, fused: Callable[[Docnums], Floats]) -> Stage:
        """Run one stage over what the one before it left; ``fused`` gives fused scores of any documents."""
        if isinstance(spec, Parents):
            return deduplicated(spec, ranking, self._snapshot)
        if isinstance(spec, MMR):
            return diversified(spec, ranking, lambda docnums: self._vectors(spec, docnums), self._snapshot)
        if isinstance(spec, MaxSim):
            scorer = self._source(self._pipeline.over(self._pipeline.tokens(spec)), mask).scorer
            stage = self._score(spec, lambda found: (scorer.scores(found), ()), ranking, mask, fused)
            return replace(stage, matches=scorer.matches)
        return self._score(spec, self._judging(spec), ranking, mask, fused)

    def _score(
        self, spec: Scoring, judge: Judge, ranking: Ranking, mask: Mask, fused: Callable[[Docnums], Floats]
    ) -> Stage:
        by = spec.expand
        if by is None or spec.weight == 0:
            return rerank(spec, judge, ranking, self._snapshot)

        def neighbours(docnums: Docnums) -> list[Docnums]:
            return self._neighbours(by, docnums, mask)

        return expand(spec, by, judge, neighbours, fused, ranking, self._snapshot)

    def _judging(self, spec: Rerank) -> Judge:
        """Return what scores documents by the reranker of a stage."""
        reranker = find(spec, self._rerankers)
        if spec.expand and not getattr(reranker, "pointwise", True):
            raise PipelineError(
                f"{spec.name} has expand={spec.expand!r}, and its reranker orders a list as a whole: "
                "what it says of two batches cannot be compared; leave expand out"
            )

        def judge(docnums: Docnums) -> Judgement:
            key = (spec.name, docnums.tobytes())
            if key not in self._judged:
                documents = self._read(docnums)
                if isinstance(reranker, JudgingReranker):
                    self._judged[key] = reranker.judge(self._query.text, documents)
                else:
                    self._judged[key] = reranker.score(self._query.text, documents), ()
            return self._judged[key]

        return judge

    def _vectors(self, spec: MMR, docnums: Docnums) -> Floats:
        over = self._pipeline.over(self._pipeline.branch(spec.branch))
        return stored_vectors(*beginnings(over, self._snapshot, docnums), spec.branch)

    def _neighbours(self, spec: Neighbours, docnums: Docnums, mask: Mask) -> list[Docnums]:
        """Return the nearest eligible documents of each, itself left out."""
        kept: dict[int, Docnums] = {}
        if not self._filtered:
            kept = memoized(self._snapshot, ("neighbours", spec.branch, spec.k), dict)
        found = {docnum: near for docnum in docnums.tolist() if (near := kept.get(docnum)) is not None}
        missing = np.array([docnum for docnum in docnums.tolist() if docnum not in found], np.int64)
        fresh = dict(zip(missing.tolist(), self._nearest(spec, missing, mask), strict=True))
        if len(kept) + len(fresh) > REMEMBERED:
            kept.clear()
        kept |= fresh
        found |= fresh
        return [found[docnum] for docnum in docnums.tolist()]

    def _nearest(self, spec: Neighbours, docnums: Docnums, mask: Mask) -> list[Docnums]:
        if not len(docnums):
            return []
        branch = self._pipeline.branch(spec.branch)
        over = self._pipeline.over(branch)
        queries: list[Any] = as_queries(
            branch, *beginnings(over, self._snapshot, docnums), lambda _: self._read(docnums), self._encoders
        )
        lists = over.rankings(self._snapshot, queries, mask, spec.k + 1)
        return [
            ranking.docnums[ranking.docnums != docnum][: spec.k]
            for docnum, ranking in zip(docnums.tolist(), lists, strict=True)
        ]
