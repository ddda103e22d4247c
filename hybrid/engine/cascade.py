"""What each kind of rerank stage does to the list that it gets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from hybrid.branches import Branch
from hybrid.engine.candidates import Source
from hybrid.engine.rerank import Stage, find, rerank
from hybrid.index import Mask, Snapshot
from hybrid.pipeline import Pipeline
from hybrid.ranking import Ranking
from hybrid.rerankers import MaxSim, Rerank
from hybrid.rerankers import Stage as Spec
from hybrid.types import Docnums, Document, Floats, JudgingReranker, Query, Reranker

Judgement = tuple[Floats, tuple[str, ...]]


class Cascade:
    """The rerank stages of one query against one snapshot.

    What a reranker said of a list of documents is remembered: explaining a result asks no model again.
    ``source`` gives the scorer of a store, ``read`` documents as rerankers see them.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        pipeline: Pipeline,
        query: Query,
        rerankers: Mapping[str, Reranker],
        source: Callable[[Branch, Mask], Source],
        read: Callable[[Docnums], Sequence[Document]],
    ) -> None:
        self._snapshot, self._pipeline, self._query = snapshot, pipeline, query
        self._rerankers, self._source, self._read = rerankers, source, read
        self._judged: dict[tuple[str, bytes], Judgement] = {}

    def run(self, spec: Spec, ranking: Ranking, mask: Mask) -> Stage:
        """Run one stage over what the one before it left."""
        if isinstance(spec, MaxSim):
            scorer = self._source(self._pipeline.over(self._pipeline.tokens(spec)), mask).scorer
            stage = rerank(spec, lambda docnums: (scorer.scores(docnums), ()), ranking, self._snapshot)
            return replace(stage, matches=scorer.matches)
        return rerank(spec, self._judging(spec), ranking, self._snapshot)

    def _judging(self, spec: Rerank) -> Callable[[Docnums], Judgement]:
        """Return what scores documents by the reranker of a stage."""
        reranker = find(spec, self._rerankers)

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
