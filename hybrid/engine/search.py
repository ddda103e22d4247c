"""The whole query path, top to bottom.

text -> encode -> every branch lists its best, side by side -> union -> complete -> fuse -> certify
or deepen -> rerank -> hits
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

from hybrid.branches import Branch, Encoders
from hybrid.engine.candidates import GROWTH, BranchFailure, Candidates, Source, guarded
from hybrid.engine.cascade import Cascade
from hybrid.engine.checks import cleaned
from hybrid.engine.deadline import Deadline
from hybrid.engine.explain import explanation
from hybrid.engine.explanation import Explanation
from hybrid.engine.highlighting import highlighted
from hybrid.engine.passages import best_passages, read_passages
from hybrid.engine.queries import Known
from hybrid.engine.rerank import Stage
from hybrid.engine.result import Hit, PassageHit, Result
from hybrid.engine.rewriting import GOES_ON, OTHERS, Rewriting
from hybrid.engine.rewriting import NAME as REWRITE
from hybrid.engine.selection import too_few
from hybrid.engine.telling import told
from hybrid.errors import BranchError, NotFoundError
from hybrid.index import Mask, Snapshot
from hybrid.pipeline import Pipeline
from hybrid.ranking import Ranking
from hybrid.rerankers import Parents
from hybrid.threads import parallel
from hybrid.types import Docnums, Document, Query, Reranker

logger = logging.getLogger("hybrid.engine")

SHOWN = 3
"""How many of a document's passages a hit shows."""


class Search:
    """One query against one snapshot. Everything a result needs to explain itself is kept here."""

    def __init__(
        self,
        snapshot: Snapshot,
        pipeline: Pipeline,
        query: Query,
        *,
        whole: Pipeline,
        encoders: Encoders,
        rerankers: Mapping[str, Reranker],
        where: Mapping[str, Any] | None = None,
        strict: bool = False,
        encoded: Known | None = None,
        deadline: Deadline | None = None,
    ) -> None:
        """Prepare.

        ``pipeline``: the branches and the fusion of this search. ``whole``: the index's, whose rerank
        stages run and may read any of its branches. ``encoded``: what is known of the query already; the
        time that it took is part of the search.
        """
        known = encoded or Known()
        self.snapshot, self.pipeline, self.query = snapshot, pipeline, query
        self.stages = whole.rerank
        self.wanted: int | None = None  # how many were reranked, once that is known
        self.stores = (*pipeline.searched, *whole.tokens_read)
        self.encoders, self.where, self.strict = encoders, where, strict
        self.deadline = deadline or Deadline(None)
        self.encoded = dict(known.rows)
        self.before = known.seconds
        self.rewriting = Rewriting(whole.rewrite, query)
        self.reworded: dict[str, Any] = {}
        self.degraded: dict[str, str] = {}
        self.notes: dict[str, tuple[str, ...]] = {}
        self.cascade = Cascade(
            snapshot,
            whole,
            query,
            encoders=encoders,
            rerankers=rerankers,
            source=self._source,
            read=self._seen,
            filtered=where is not None,
        )
        self.spans = list(known.spans)
        self.timings = {name: ended - begun for name, begun, ended in self.spans}
        self.sources: tuple[Source, ...] = ()

    @told
    def run(self, k: int) -> Result:
        """Return the best ``k`` documents."""
        started = time.perf_counter() - self.before
        with self._timed("filter"):
            mask = self.snapshot.mask(self.where)
        candidates, gap, stages, self.wanted = self._ranked(mask, k)
        ranking = stages[-1].after if stages else candidates.pool.ranking
        with self._timed("documents"):
            hits = self._hits(candidates, stages, ranking.first(k))
        self.timings["total"] = time.perf_counter() - started
        if len(candidates.sources) < len(self.pipeline.branches):
            gap = float("inf")  # what the missing branch would have said, nobody knows
        return Result(
            query=self.query.text,
            hits=hits,
            exact=candidates.exact and gap == 0,
            gap=gap,
            degraded=tuple(self._notes()),
            notes=self._notes(),
            generation=self.snapshot.generation,
            timings=self._ordered_timings(),
            _explain=self._explainer(k),
            _highlight=partial(highlighted, self.pipeline, self.query.text),
        )

    def _ranked(self, mask: Mask, k: int) -> tuple[Candidates, float, list[Stage], int]:
        """Fuse and rerank the best ``wanted``: as many as it takes to fill stages and page."""
        wanted = self.wanted or max([k, *(stage.top for stage in self.stages)])
        while True:
            candidates, gap = self._first_stage(mask, wanted)
            stages = self._rerank(candidates, wanted, mask)
            within = max((spec.within for spec in self.stages if isinstance(spec, Parents)), default=0)
            exhausted = len(candidates.pool.ranking) < wanted or wanted >= within
            if exhausted or self.wanted or self.deadline.passed or not too_few(stages, k):
                return candidates, gap, stages, wanted
            wanted = min(wanted * GROWTH, within)

    def _first_stage(self, mask: Mask, wanted: int) -> tuple[Candidates, float]:
        """Fuse the branches' lists until the ``wanted`` best are certain; drop branches that fail."""
        self._reword()
        branches = [branch for branch in self.pipeline.searched if branch.name not in self.degraded]
        lists = parallel(lambda branch: self._list(branch, mask, wanted), branches)
        listed = {source.name: (source, ranking) for source, ranking in filter(None, lists)}
        while True:
            if not listed:
                reasons = "; ".join(f"{name}: {reason}" for name, reason in self.degraded.items())
                raise BranchError(f"every branch failed: {reasons}")
            try:
                with self._timed("fuse"):
                    candidates = Candidates(
                        [source for source, _ in listed.values()],
                        self.pipeline.fusion,
                        self.snapshot,
                        {name: ranking for name, (_, ranking) in listed.items()},
                        self._depth(wanted),
                    )
                    pool = candidates.deepen(
                        lambda pool: pool.gap(wanted) == 0 or self.deadline.passed, self._max_depth(wanted)
                    )
                self.sources = candidates.sources
                return candidates, pool.gap(wanted)
            except BranchFailure as failure:
                self._degrade(failure)
                del listed[failure.name]

    def _reword(self) -> None:
        """Have the query reworded, if the pipeline says so and it has not been."""
        if not self.rewriting.pending:
            return
        try:
            with self._timed(REWRITE):
                self.rewriting.ask(self.deadline.half().within)
        except BranchFailure as failure:
            self._degrade(failure)

    def _depth(self, wanted: int) -> int:
        pipeline = self.pipeline
        # One branch's list is the result, but for ties that reach beyond it:
        few = pipeline.depth if len(pipeline.branches) > 1 else min(pipeline.depth, 4 * wanted)
        return max(wanted, pipeline.fusion.depth, few)

    def _max_depth(self, wanted: int) -> int | None:
        limit = self.pipeline.max_depth
        return None if limit is None else max(limit, self._depth(wanted))

    def _list(self, branch: Branch, mask: Mask, wanted: int) -> tuple[Source, Ranking] | None:
        """Return one branch's scorer and list, None if it fails."""
        try:
            with guarded(branch.name):
                return self.deadline.within(lambda: self._listed(branch, mask, wanted))
        except BranchFailure as failure:
            self._degrade(failure)
            return None

    def _listed(self, branch: Branch, mask: Mask, wanted: int) -> tuple[Source, Ranking]:
        source = self._source(branch, mask, reworded=True)
        with self._timed(branch.name), guarded(branch.name):
            return source, source.scorer.top(self._depth(wanted))

    def _source(self, branch: Branch, mask: Mask, *, reworded: bool = False) -> Source:
        with guarded(branch.name):
            if branch.name not in self.encoded:
                with self._timed(f"{branch.name}.encode"):
                    self.encoded[branch.name] = branch.encode_queries([self.query], self.encoders)[0]
            query = self.encoded[branch.name]
            if reworded:
                if branch.name not in self.reworded:
                    self.reworded[branch.name] = self.rewriting.encoded(branch, query, self.encoders)
                query = self.reworded[branch.name]
            scorer = branch.scorer(self.snapshot, query, mask)
        return Source(branch.name, branch.kind, scorer)

    def _degrade(self, failure: BranchFailure) -> None:
        """Go on without a branch, and say so."""
        if self.strict:
            raise BranchError(str(failure)) from failure.error
        about = {"branch": failure.name, "generation": self.snapshot.generation}
        said = GOES_ON.get(failure.name, OTHERS)
        logger.warning("%s; %s", failure, said, exc_info=failure.error, extra=about)
        self.degraded[failure.name] = _reason(failure.error)

    def _rerank(self, candidates: Candidates, wanted: int, mask: Mask) -> list[Stage]:
        """Run the rerank stages over the best ``wanted``; one that fails leaves the order as it was."""
        stages: list[Stage] = []
        ranking = candidates.pool.ranking.first(wanted)
        for spec in self.stages:
            if spec.name in self.degraded:
                continue
            try:
                with self._timed(spec.name), guarded(spec.name):
                    stage = self.deadline.within(
                        partial(self.cascade.run, spec, ranking, mask, candidates.join)
                    )
            except BranchFailure as failure:
                self._fall_short(spec.name, _reason(failure.error), failure.error)
                self.degraded[spec.name] = _reason(failure.error)
            else:
                if stage.notes and spec.name not in self.notes:
                    self._fall_short(spec.name, "; ".join(stage.notes))
                    self.notes[spec.name] = stage.notes
                stages.append(stage)
                ranking = stage.after
        return stages

    def _fall_short(self, name: str, what: str, error: Exception | None = None) -> None:
        """Tell that a stage failed, or in part; raise where that is not allowed."""
        if self.strict:
            raise BranchError(f"{name} failed: {what}") from error
        said = "failed" if error else "fell short"
        about = {"stage": name, "generation": self.snapshot.generation}
        say = "%s %s (%s); there the order before it stands"
        logger.warning(say, name, said, what, exc_info=error, extra=about)

    def _seen(self, docnums: Docnums) -> Sequence[Document]:
        """Return documents as rerankers see them."""
        documents = read_passages(self.snapshot, self._best_passages(docnums, 1), docnums)
        return cleaned(documents, self.pipeline.cleaning)

    def _best_passages(self, docnums: Docnums, most: int) -> dict[int, tuple[PassageHit, ...]]:
        """Return documents' best passages; none of documents that are not cut."""
        return best_passages(self.snapshot, self.sources, self.pipeline.fusion, docnums, most)

    def _hits(self, candidates: Candidates, stages: list[Stage], ranking: Ranking) -> tuple[Hit, ...]:
        pool = candidates.pool
        hits = []
        documents = self.snapshot.documents(ranking.docnums)
        passages = self._best_passages(ranking.docnums, SHOWN)
        at = np.searchsorted(pool.docnums, ranking.docnums)
        names = (*(column.name for column in pool.columns), "fused")
        raw = (column.raw[at].tolist() for column in pool.columns)
        before = zip(*raw, pool.fused.scores[at].tolist(), strict=True)
        ranked = zip(ranking.docnums.tolist(), ranking.scores.tolist(), before, strict=True)
        for n, (docnum, score, values) in enumerate(ranked):
            scores = dict(zip(names, values, strict=True))
            scores |= {s.spec.name: s.scores[docnum] for s in stages if docnum in s.scores}
            document = documents[n]
            hits.append(
                Hit(
                    n + 1,
                    document.id,
                    score,
                    document.title,
                    document.text,
                    document.metadata,
                    scores,
                    passages.get(docnum, ()),
                )
            )
        return tuple(hits)

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            ended = time.perf_counter()
            self.timings[stage] = self.timings.get(stage, 0.0) + ended - started
            self.spans.append((stage, started, ended))

    def _notes(self) -> dict[str, tuple[str, ...]]:
        """Return why branches and stages failed, or in part, in the order of the query path."""
        names = [REWRITE, *(b.name for b in self.pipeline.branches), *(stage.name for stage in self.stages)]
        notes = self.notes | {name: (reason,) for name, reason in self.degraded.items()}
        return {name: notes[name] for name in names if name in notes}

    def _ordered_timings(self) -> dict[str, float]:
        """Return the timings in the order of the query path (branches write them as they end)."""
        branches = [part for b in self.stores for part in (f"{b.name}.encode", b.name)]
        stages = [stage.name for stage in self.stages]
        order = ["filter", REWRITE, *branches, "fuse", *stages, "documents", "total"]
        return {stage: self.timings[stage] for stage in order if stage in self.timings}

    def _explainer(self, k: int) -> Callable[[str], Explanation]:
        timings = self._ordered_timings()
        return lambda id: self.explain(id, k, timings)

    def explain(self, id: str, k: int, timings: Mapping[str, float] | None = None) -> Explanation:
        """Explain where a document ranks, whether or not it is among the best ``k``.

        What the search left out because it failed is left out here too; there is no deadline.

        Raises:
            NotFoundError: there is no such document, or the filter excludes it.
            BranchError: every branch failed, or one could not be asked about the document.
        """
        self.deadline = Deadline(None)
        docnum = self.snapshot.docnum(id)
        mask = self.snapshot.mask(self.where)
        if not mask.lets_through(self.snapshot, docnum):
            raise NotFoundError(f"document {id!r} is in the index, but the filter {self.where!r} excludes it")
        candidates, _, stages, wanted = self._ranked(mask, k)
        fused = candidates.pool.ranking.first(wanted)  # as the result has it: asking for ranks deepens it
        try:
            return explanation(
                self.snapshot.documents([docnum])[0],
                docnum,
                self.query.text,
                candidates,
                fused,
                stages,
                notes=self._notes(),
                timings=timings or self._ordered_timings(),
            )
        except BranchFailure as failure:
            raise BranchError(f"cannot explain {id!r}: {failure}") from failure.error


def _reason(error: Exception) -> str:
    """Return what an error says, or what it is if it says nothing."""
    return str(error) or type(error).__name__
