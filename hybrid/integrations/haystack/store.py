"""A document store of Haystack that is an index."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Literal, Self

from haystack import Document, default_from_dict, default_to_dict
from haystack.document_stores.errors import DuplicateDocumentError
from haystack.document_stores.types import DuplicatePolicy

import hybrid
from hybrid.errors import DocumentError, DuplicateIdError, IndexExistsError, InputError, NotAnIndexError
from hybrid.integrations.asking import Asking
from hybrid.integrations.details import KEY, Content
from hybrid.integrations.haystack.documents import document_of, restored, stored, with_meta
from hybrid.integrations.haystack.filters import where_of


class HybridDocumentStore:
    """An index in the folder ``path`` as a document store, opened or created when it is first used.

    What is indexed is said by a ``recipe`` (the TOML of `hybrid.format_recipe`) or a ``dimension``: BM25 and
    the embeddings of so many numbers that documents bring, made by an embedder of Haystack. With neither it
    is BM25 and the bundled MiniLM. Where an index's branches have a model, texts are encoded by it, and
    embeddings that documents bring are kept but not searched.

    Every reading sees the newest state, whoever wrote it; every change is one commit, and holds the index's
    lock no longer, so stores in several pipelines and processes can share a folder. Threads wait for each
    other; while another process writes, a change is an `IndexLockedError`. Filters that an index
    cannot express are refused. Documents come back as they were written, in the order of their ids; an
    embedding that is searched has float32 numbers.
    """

    def __init__(self, path: str, *, dimension: int | None = None, recipe: str | None = None) -> None:
        """Say where the index is; nothing is opened yet.

        Raises:
            InputError: both a dimension and a recipe are given.
            PipelineError: the recipe is malformed.
        """
        if dimension is not None and recipe is not None:
            raise InputError(
                "give a recipe or a dimension; a recipe says it as hybrid.Dense(dimension=…) does"
            )
        self.path, self.dimension, self.recipe = str(path), dimension, recipe
        self._pipeline = _pipeline(dimension, recipe)
        self._reader: hybrid.HybridIndex | None = None
        self._lock, self._writing = threading.Lock(), threading.Lock()

    def to_dict(self) -> dict[str, Any]:
        """Return the store as Haystack serialises it: where the index is, and how it is made."""
        return default_to_dict(self, path=self.path, dimension=self.dimension, recipe=self.recipe)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Return the store that `to_dict` describes."""
        return default_from_dict(cls, data)

    def close(self) -> None:
        """Let go of the folder; the next use opens it again."""
        with self._lock:
            if self._reader is not None:
                self._reader.close()
            self._reader = None

    def search(
        self,
        query: str,
        asking: Asking,
        filters: Mapping[str, Any] | None = None,
        embedding: Sequence[float] | None = None,
        *,
        details: str | None = KEY,
        content: Content = "text",
    ) -> list[Document]:
        """Return the best documents for a query, with their scores.

        ``embedding``: the query's, for branches without a model. For the others see `HybridRetriever`.
        """
        index = self._index()
        vectors = {} if embedding is None else dict.fromkeys(_bringing(index), embedding)
        where = {"where": where_of(filters)}
        result = asking.but(where).search(index, hybrid.Query(query, vectors))
        return [document_of(result, hit, details, content) for hit in result]

    def count_documents(self) -> int:
        """Return how many documents there are."""
        return len(self._index())

    def count_documents_by_filter(self, filters: dict[str, Any]) -> int:
        """Return how many documents a filter lets through."""
        return self._index().count(where_of(filters))

    def filter_documents(self, filters: dict[str, Any] | None = None) -> list[Document]:
        """Return the documents that a filter lets through, by id; without one, all."""
        where = where_of(filters)
        return [restored(d.id, d.text, d.metadata, d.vectors) for d in self._index().documents(where)]

    def write_documents(
        self, documents: list[Document], policy: DuplicatePolicy = DuplicatePolicy.NONE
    ) -> int:
        """Write documents in one commit; return how many were written.

        A document whose id is there already is refused, unless ``policy`` says to skip or to overwrite it.

        Raises:
            DuplicateDocumentError: an id is there already; nothing was written.
            DocumentError: a document cannot be stored (also a ValueError); nothing was written.
        """
        if not isinstance(documents, list):
            raise DocumentError(f"documents is {documents!r}; give a list of haystack.Document")
        with self._writer() as writer:
            rows = [stored(document, _bringing(writer)) for document in documents]
            if policy == DuplicatePolicy.OVERWRITE:
                writer.update({row.id: row for row in rows}.values())
                return len(rows)
            if policy == DuplicatePolicy.SKIP:
                return writer.add({row.id: row for row in reversed(rows) if row.id not in writer}.values())
            try:
                return writer.add(rows)
            except DuplicateIdError as error:
                raise DuplicateDocumentError(str(error)) from error

    def delete_documents(self, document_ids: list[str]) -> None:
        """Delete documents in one commit; ids that are not there are skipped."""
        with self._writer() as writer:
            writer.delete(document_ids, missing="ignore")

    def delete_by_filter(self, filters: dict[str, Any]) -> int:
        """Delete the documents that a filter lets through in one commit; return how many."""
        with self._writer() as writer:
            return writer.delete(where=where_of(filters) or {})

    def delete_all_documents(self) -> None:
        """Delete all documents in one commit."""
        self.delete_by_filter({})

    def update_by_filter(self, filters: dict[str, Any], meta: dict[str, Any]) -> int:
        """Set these keys of the meta of documents that a filter lets through; return how many."""
        where = where_of(filters)
        with self._writer() as writer:
            return writer.update([with_meta(document, meta) for document in writer.documents(where)])

    async def count_documents_async(self) -> int:
        """Do what `count_documents` does, in a thread."""
        return await asyncio.to_thread(self.count_documents)

    async def count_documents_by_filter_async(self, filters: dict[str, Any]) -> int:
        """Do what `count_documents_by_filter` does, in a thread."""
        return await asyncio.to_thread(self.count_documents_by_filter, filters)

    async def filter_documents_async(self, filters: dict[str, Any] | None = None) -> list[Document]:
        """Do what `filter_documents` does, in a thread."""
        return await asyncio.to_thread(self.filter_documents, filters)

    async def write_documents_async(
        self, documents: list[Document], policy: DuplicatePolicy = DuplicatePolicy.NONE
    ) -> int:
        """Do what `write_documents` does, in a thread."""
        return await asyncio.to_thread(self.write_documents, documents, policy)

    async def delete_documents_async(self, document_ids: list[str]) -> None:
        """Do what `delete_documents` does, in a thread."""
        await asyncio.to_thread(self.delete_documents, document_ids)

    async def delete_by_filter_async(self, filters: dict[str, Any]) -> int:
        """Do what `delete_by_filter` does, in a thread."""
        return await asyncio.to_thread(self.delete_by_filter, filters)

    async def delete_all_documents_async(self) -> None:
        """Do what `delete_all_documents` does, in a thread."""
        await asyncio.to_thread(self.delete_all_documents)

    async def update_by_filter_async(self, filters: dict[str, Any], meta: dict[str, Any]) -> int:
        """Do what `update_by_filter` does, in a thread."""
        return await asyncio.to_thread(self.update_by_filter, filters, meta)

    def _index(self) -> hybrid.HybridIndex:
        """Return the index as it is now."""
        with self._lock:
            if self._reader is None:
                self._reader = self._open("r")
            else:
                self._reader.refresh()
            return self._reader

    @contextmanager
    def _writer(self) -> Iterator[hybrid.HybridIndex]:
        """Give the index, open for one change; threads wait for each other."""
        with self._writing, self._open("w", check_encoders=False) as writer:
            yield writer

    def _open(self, mode: Literal["r", "w"], **options: Any) -> hybrid.HybridIndex:
        """Open the index, or create it first."""
        try:
            return hybrid.open(self.path, mode, self._pipeline, **options)
        except NotAnIndexError:
            with suppress(IndexExistsError):  # somebody else was faster
                hybrid.create(self.path, [], self._pipeline).close()
            return hybrid.open(self.path, mode, self._pipeline, **options)


def _pipeline(dimension: int | None, recipe: str | None) -> hybrid.Pipeline | None:
    if recipe is not None:
        return hybrid.parse_recipe(recipe)
    if dimension is not None:
        return hybrid.Pipeline((hybrid.BM25(), hybrid.Dense(dimension=dimension)))
    return None


def _bringing(index: hybrid.HybridIndex) -> list[str]:
    """Return the names of dense branches without a model: documents and queries bring vectors."""
    return [b.name for b in index.pipeline.branches if isinstance(b, hybrid.Dense) and b.model is None]
