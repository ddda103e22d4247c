"""What an open index holds: documents, figures, and copies of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from hybrid.corpus import write_export
from hybrid.engine import moving
from hybrid.engine.checks import checked_id, checked_list, checked_query
from hybrid.engine.encoders import EncoderSet
from hybrid.engine.limits import Limits
from hybrid.engine.pages import Pins
from hybrid.engine.stats import Stats, figures
from hybrid.engine.vectors import dense_branch, document_vectors, query_vector
from hybrid.engine.verifying import verify
from hybrid.forking import Lock
from hybrid.index import Snapshot, Store
from hybrid.index.checking import Verification
from hybrid.pipeline import Pipeline
from hybrid.types import Document, Floats, Query, Reranker


class Contents:
    """What can be read of an open index without searching it."""

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
        self._writing = Lock(threading.RLock)
        self._pins = Pins()

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
