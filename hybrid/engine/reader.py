"""An open index as its readers see it: searches and explanations."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from hybrid.branches import Branch
from hybrid.engine import pages
from hybrid.engine.checks import checked_id, checked_k, checked_list, checked_query
from hybrid.engine.contents import Contents
from hybrid.engine.deadline import Deadline
from hybrid.engine.explanation import Explanation
from hybrid.engine.pages import Asked, Pinned
from hybrid.engine.queries import Known, encode_all
from hybrid.engine.result import Result
from hybrid.engine.retrieve import Retrieved, retrieve
from hybrid.engine.search import Search
from hybrid.errors import InputError
from hybrid.fusion import Fusion
from hybrid.index import Snapshot
from hybrid.pipeline import Pipeline
from hybrid.threads import parallel
from hybrid.types import Progress, Query


class Reader(Contents):
    """What can be asked of an open index; `HybridIndex` adds what changes it.

    Searching is thread-safe. A search sees one generation: the one that was current when it began
    (or, in a reader, when the index was opened or last refreshed).
    """

    def search(
        self,
        query: str | Query,
        k: int = 10,
        where: Mapping[str, Any] | None = None,
        *,
        branches: Sequence[str] | None = None,
        fusion: Fusion | None = None,
        strict: bool = False,
        deadline: float | None = None,
        cursor: str | None = None,
    ) -> Result:
        """Return the ``k`` best documents, or with the ``cursor`` of a result, the next ``k``.

        ``where`` filters by metadata, inside every branch (see `hybrid.index.filters`).
        ``branches`` searches only some of the pipeline's, ``fusion`` fuses differently. A branch or
        a reranker that fails is left out and named in ``result.degraded``; with ``strict`` it is an
        error instead. So is one that has not ended within ``deadline`` seconds of the call.

        Pages never repeat or skip a document while the index changes. All but ``k``, ``strict`` and
        ``deadline`` must be as for the first page; a later page is always strict. Documents that expire
        meanwhile are missing from their page.

        Raises:
            InputError: the query, k, the filter, a branch's name or the deadline is wrong.
            CursorError: the cursor is none of this index and query, or its generation is gone.
            BranchError: every branch failed, or one under ``strict``.
        """
        limit = Deadline(deadline)
        k, asked = self._asked(query, k, where, branches, fusion)
        return self._page(asked, k, pages.current(self._store), cursor, strict=strict, deadline=limit)

    def pages(self, query: str | Query, k: int = 10, **options: Any) -> Iterator[Result]:
        """Iterate over results of ``k`` hits each, until all documents found were seen.

        ``options`` are `search`'s.
        """
        return pages.following(lambda cursor: self.search(query, k, **options, cursor=cursor))

    def search_many(
        self,
        queries: Sequence[str | Query],
        k: int = 10,
        where: Mapping[str, Any] | None = None,
        *,
        branches: Sequence[str] | None = None,
        fusion: Fusion | None = None,
        strict: bool = False,
        progress: Progress | None = None,
    ) -> list[Result]:
        """Search for many queries; the results equal those of `search`, in order.

        Queries are encoded in batches and searched side by side, over one snapshot.
        """
        if isinstance(queries, str | Query):
            raise InputError(f"queries is {queries!r}; give a list of queries: [{queries!r}]")
        self._allowed(queries, k, where)
        pipeline = self._variant(branches, fusion)
        asked = [checked_query(query, self._pipeline) for query in queries]
        snapshot = self._store.snapshot
        read = self._read_by(pipeline)
        encoded = encode_all(read, asked, self._encoders.together(read))
        done, counting = itertools.count(1), threading.Lock()

        def run(n: int) -> Result:
            result = self._search(asked[n], pipeline, where, strict, snapshot, encoded[n]).run(k)
            if progress is not None:
                with counting:
                    progress("search", next(done), len(asked))
            return result

        return parallel(run, range(len(asked)))

    def retrieve(
        self,
        query: str | Query,
        k: int = 10,
        where: Mapping[str, Any] | None = None,
        *,
        branch: str | None = None,
    ) -> Retrieved:
        """Return one branch's best ``k`` documents with its own scores: no fusion, no texts.

        ``branch`` may be left out if the pipeline has one only.

        Raises:
            InputError: the query, k or the filter is wrong.
            PipelineError: there is no such branch, or there are several.
        """
        return self.retrieve_many([query], k, where, branch=branch)[0]

    def retrieve_many(
        self,
        queries: Sequence[str | Query],
        k: int = 10,
        where: Mapping[str, Any] | None = None,
        *,
        branch: str | None = None,
    ) -> list[Retrieved]:
        """Return one branch's best ``k`` documents for each query, as `retrieve` does."""
        given = checked_list("queries", queries)
        self._allowed(given, k, where)
        asked = [checked_query(query, self._pipeline) for query in given]
        return retrieve(self._store.snapshot, self._pipeline, branch, asked, k, where, self._encoders)

    def explain(
        self,
        query: str | Query,
        id: str,
        k: int = 10,
        where: Mapping[str, Any] | None = None,
        *,
        branches: Sequence[str] | None = None,
        fusion: Fusion | None = None,
    ) -> Explanation:
        """Explain where a document ranks for a query, whether or not it is among the best ``k``.

        Raises:
            NotFoundError: there is no such document, or the filter excludes it.
        """
        k, asked = self._asked(query, k, where, branches, fusion)
        return self._search(asked.query, asked.pipeline, where, False).explain(checked_id(id), k)

    def _asked(
        self,
        query: str | Query,
        k: int,
        where: Mapping[str, Any] | None,
        branches: Sequence[str] | None,
        fusion: Fusion | None,
    ) -> tuple[int, Asked]:
        """Return k and what is asked; raise if the index does not take it."""
        k, pipeline = self._allowed([query], k, where), self._variant(branches, fusion)
        return k, Asked(checked_query(query, self._pipeline), pipeline, where, fusion)

    def _page(
        self,
        asked: Asked,
        k: int,
        pinned: Pinned,
        cursor: str | None,
        *,
        strict: bool,
        deadline: Deadline,
        encoded: Known | None = None,
    ) -> Result:
        """Return the first page from a generation, or the page of a cursor from its own."""

        def run(n: int, snapshot: Snapshot, strict: bool) -> Result:
            query, pipeline, where = asked.query, asked.pipeline, asked.where
            return self._search(query, pipeline, where, strict, snapshot, encoded, deadline).run(n)

        if cursor is None:
            result = run(k, pinned.snapshot, strict)
            return pages.with_cursor(result, k, self._pins, pinned, asked)
        pinned, place = self._pins.find(cursor, asked.digest(), self._store)
        self.limits.check_k(place.offset + k)
        result = pages.page(lambda n: run(n, pinned.snapshot, True), place, k)
        result = pages.with_cursor(result, k, self._pins, pinned, asked, place)
        return pages.alive(result, pinned.snapshot)

    def _allowed(self, queries: Iterable[Any], k: int, where: Mapping[str, Any] | None) -> int:
        """Return k; raise if it or a query or the filter is more than the limits allow."""
        for query in queries:
            self.limits.check_query(query)
        self.limits.check_filter(where)
        return self.limits.check_k(checked_k(k))

    def _variant(self, branches: Sequence[str] | None, fusion: Fusion | None) -> Pipeline:
        """Return the pipeline as one search wants it."""
        pipeline = self._pipeline
        if branches is not None:
            pipeline = pipeline.only(tuple(checked_list("branches", branches)))
        return pipeline if fusion is None else replace(pipeline, fusion=fusion)

    def _read_by(self, pipeline: Pipeline) -> tuple[Branch, ...]:
        """Return the stores that a search reads: what it searches, and what the index's own stages read."""
        stores = (*pipeline.searched, *self._pipeline.tokens_read)
        return tuple({store.name: store for store in stores}.values())

    def _search(
        self,
        query: Query,
        pipeline: Pipeline,
        where: Mapping[str, Any] | None,
        strict: bool,
        snapshot: Snapshot | None = None,
        encoded: Known | None = None,
        deadline: Deadline | None = None,
    ) -> Search:
        return Search(
            snapshot or self._store.snapshot,
            pipeline,
            query,
            whole=self._pipeline,
            encoders=self._encoders.together(self._read_by(pipeline)),
            rerankers=self._rerankers,
            where=where,
            strict=strict,
            encoded=encoded,
            deadline=deadline,
        )
