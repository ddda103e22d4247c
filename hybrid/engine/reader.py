"""An open index as its readers see it: documents, searches, explanations, figures."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from hybrid.branches import Branch
from hybrid.corpus import write_export
from hybrid.engine import moving, pages
from hybrid.engine.checks import checked_id, checked_k, checked_list, checked_query
from hybrid.engine.deadline import Deadline
from hybrid.engine.encoders import EncoderSet
from hybrid.engine.explanation import Explanation
from hybrid.engine.limits import Limits
from hybrid.engine.result import Result
from hybrid.engine.retrieve import Retrieved, retrieve
from hybrid.engine.search import Search, encode_all
from hybrid.engine.stats import Stats, figures
from hybrid.engine.vectors import dense_branch, document_vectors, query_vector
from hybrid.engine.verifying import verify
from hybrid.errors import InputError
from hybrid.fusion import Fusion
from hybrid.index import Snapshot, Store
from hybrid.index.checking import Verification
from hybrid.pipeline import Pipeline
from hybrid.threads import parallel
from hybrid.types import Document, Floats, Progress, Query, Reranker


class Reader:
    """What can be asked of an open index; `HybridIndex` adds what changes it.

    Searching is thread-safe. A search sees one generation: the one that was current when it began
    (or, in a reader, when the index was opened or last refreshed).
    """

    def __init__(
        self,
        store: Store,
        pipeline: Pipeline,
        encoders: EncoderSet,
        rerankers: Mapping[str, Reranker],
        limits: Limits,
    ) -> None:
        """Wrap an open store; use `hybrid.create` or `hybrid.open` instead."""
        self.limits = limits
        self._store = store
        self._pipeline = pipeline
        self._encoders = encoders
        self._rerankers = dict(rerankers)
        self._writing = threading.RLock()
        self._pins = pages.Pins()

    @property
    def path(self) -> Path:
        """The folder."""
        return self._store.path

    @property
    def pipeline(self) -> Pipeline:
        """What a search does."""
        return self._pipeline

    @property
    def generation(self) -> int:
        """The number of the committed state that is being searched."""
        return self._store.snapshot.generation

    def __len__(self) -> int:
        """Return the number of live documents."""
        return self._store.snapshot.live

    def __contains__(self, id: object) -> bool:
        """Return whether a live document has this id."""
        return isinstance(id, str) and bool((self._store.snapshot.find([id]) >= 0)[0])

    def __repr__(self) -> str:
        return f"HybridIndex({str(self.path)!r}, documents={len(self)}, generation={self.generation})"

    def get(self, id: str) -> Document:
        """Return a document by its id, as it would have to be added again.

        Raises:
            NotFoundError: there is none.
        """
        snapshot = self._store.snapshot
        return self._document(snapshot, snapshot.docnum(checked_id(id)))

    def version(self, id: str) -> int:
        """Return the version of a document: the generation whose commit wrote it, as it is now.

        A change may ask for it (``if_version``). To change what you have read, ask for the version first: if
        the document changes in between, yours is the older one, and the change is refused.

        Raises:
            NotFoundError: there is no such document.
        """
        snapshot = self._store.snapshot
        return snapshot.versions([snapshot.docnum(checked_id(id))])[0]

    def documents(self, where: Mapping[str, Any] | None = None) -> Iterator[Document]:
        """Iterate over documents in order of their ids, as they would have to be added again.

        With a filter, over those that it lets through.
        """
        snapshot = self._store.snapshot
        return (self._document(snapshot, docnum) for docnum in snapshot.eligible(where))

    def ids(self, where: Mapping[str, Any] | None = None) -> list[str]:
        """Return the ids of the documents that a filter lets through, sorted; without one, of all."""
        snapshot = self._store.snapshot
        return snapshot.ids(list(snapshot.eligible(where)))

    def count(self, where: Mapping[str, Any] | None = None) -> int:
        """Return how many documents a filter lets through; without one, how many there are."""
        return self._store.snapshot.mask(where).count

    def vectors(self, ids: Sequence[str], branch: str | None = None) -> Floats:
        """Return the vectors of documents as a dense branch keeps them: float32, shape (ids, d).

        ``branch`` may be left out if the pipeline has one dense branch only. A document that was cut because
        it is long has the vector of its first passage.

        Raises:
            NotFoundError: an id is not in the index.
            PipelineError: there is no such branch, or its vectors are those of passages.
        """
        wanted = list(map(checked_id, checked_list("ids", ids)))
        found = dense_branch(self._pipeline, branch)
        return document_vectors(self._store.snapshot, self._pipeline, found, wanted)

    def embed(self, query: str | Query, branch: str | None = None) -> Floats:
        """Return what a dense branch (see `vectors`) compares documents with: float32, shape (d,)."""
        asked = checked_query(query, self._pipeline)
        return query_vector(dense_branch(self._pipeline, branch), asked, self._encoders)

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
        limit, k, pipeline = (
            Deadline(deadline),
            self._allowed([query], k, where),
            self._variant(branches, fusion),
        )
        asked = pages.Asked(checked_query(query, self._pipeline), pipeline, where, fusion)

        def run(n: int, pinned: pages.Pinned, strict: bool) -> Result:
            return self._search(query, pipeline, where, strict, pinned.snapshot, deadline=limit).run(n)

        if cursor is None:
            pinned = pages.current(self._store)
            return pages.with_cursor(run(k, pinned, strict), k, self._pins, pinned, asked)
        pinned, place = self._pins.find(cursor, asked.digest(), self._store)
        self.limits.check_k(place.offset + k)
        result = pages.page(lambda n: run(n, pinned, True), place, k)
        result = pages.with_cursor(result, k, self._pins, pinned, asked, place)
        return pages.alive(result, pinned.snapshot)

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
        encoded = encode_all(read, asked, self._encoders.together(read), strict)
        done, counting = itertools.count(1), threading.Lock()

        def run(n: int) -> Result:
            known = {name: vectors[n] for name, vectors in encoded.items()}
            search = self._search(asked[n], pipeline, where, strict, snapshot, known)
            result = search.run(k)
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
        self._allowed([query], k, where)
        search = self._search(query, self._variant(branches, fusion), where, False)
        return search.explain(checked_id(id), k)

    def stats(self) -> Stats:
        """Return figures of the generation that is being searched."""
        return figures(self._store.snapshot, self._pipeline, self._encoders.counts())

    def verify(self, *, deep: bool = False) -> Verification:
        """Check the folder's newest generation, every byte of it; see `hybrid.verify`."""
        return verify(self.path, deep=deep)

    def backup(self, target: str | Path, *, link: bool = False) -> int:
        """Copy the generation that is being searched into a folder without an index; return its number.

        A writer may go on meanwhile. Every byte of the copy is checked and on the disk when this returns; if
        anything fails, nothing is left behind. The copy is an index of its own, on any machine. ``link``: on
        one file system, link files instead of copying them, at no cost (which does not help against a disk
        that fails). `hybrid.restore` puts a backup back.

        Raises:
            IndexExistsError: there is an index in the folder.
            StorageError: the system refused.
        """
        return moving.backup(self._store, target, link=link)

    def export(self, path: str | Path, vectors: moving.Vectors = "needed") -> int:
        """Write every live document to a .jsonl, .jsonl.gz or .parquet file; return how many.

        ``vectors``: "needed" are those that no model can make again, "all" those of every branch as they are
        kept, so that another index need not encode anything. `hybrid.read_export` reads the file.
        """
        return write_export(self.exported(vectors), path)

    def exported(self, vectors: moving.Vectors = "needed") -> Iterator[Document]:
        """Iterate over what `export` writes."""
        described = self._store.settings["encoders"]
        return moving.exported(self._store.snapshot, self._pipeline, described, vectors)

    def close(self) -> None:
        """Let go of the folder (and of the writer's lock). Results already returned stay valid."""
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _document(self, snapshot: Snapshot, docnum: int) -> Document:
        """Return a stored document with the vectors that no model can make again."""
        vectors = {
            name: vector
            for branch in self._pipeline.stores
            for name, vector in branch.brought(snapshot, docnum).items()
        }
        document = snapshot.documents([docnum])[0]
        return replace(document, vectors=vectors) if vectors else document

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
        query: str | Query,
        pipeline: Pipeline,
        where: Mapping[str, Any] | None,
        strict: bool,
        snapshot: Snapshot | None = None,
        encoded: Mapping[str, Any] | None = None,
        deadline: Deadline | None = None,
    ) -> Search:
        return Search(
            snapshot or self._store.snapshot,
            pipeline,
            checked_query(query, self._pipeline),
            whole=self._pipeline,
            encoders=self._encoders.together(self._read_by(pipeline)),
            rerankers=self._rerankers,
            where=where,
            strict=strict,
            encoded=encoded,
            deadline=deadline,
        )
